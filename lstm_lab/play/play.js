"use strict";
const $ = (id) => document.getElementById(id);

// What has been read so far: a symbol as the server tells it, its span, and the parts of the carry.
let symbols = [], spans = [], strips = [];
let step = -1, following = true;
// The request under way, and how many of its symbols were given where the server cannot know.
let under = null, given = null;
let due = false;

const shown = (text) => text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥");
const signed = (value, digits) => value.toFixed(digits).replace("-", "−");
const bits = (symbol) => -Math.log2(symbol.p);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function say(text, broken = false) {
  $("said").textContent = text;
  $("said").classList.toggle("broken", broken);
}

function settings() {
  const filled = [...$("settings").querySelectorAll("input")].filter((input) => input.value !== "");
  return Object.fromEntries(filled.map((input) => [input.name, Number(input.value)]));
}

async function play(text, count = null) {
  under?.abort();
  const mine = (under = new AbortController());
  // What has not run before is compiled first.
  say("waiting for the first symbol …");
  $("stop").disabled = false;
  try {
    const answer = await fetch("/write", {
      method: "POST", body: JSON.stringify({ ...settings(), ...text }), signal: mine.signal,
    });
    if (answer.ok) begin(count);
    let rest = "", ended = false;
    for (const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader(); ;) {
      const { value, done } = await reader.read();
      if (mine !== under) return;
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines.map((line) => JSON.parse(line))) {
        if (line.error) throw new Error(line.error);
        if (line.strips) arrange(line.strips);
        else if (line.end) ended = true;
        else take(line);
      }
    }
    if (!ended) throw new Error("the server has stopped");
    say(summary());
  } catch (error) {
    if (mine !== under) return;
    if (error.name === "AbortError") say(`stopped: ${summary()}`);
    else say(error.message, true);
  }
  under = null;
  $("stop").disabled = true;
  recolour();
}

function summary() {
  const drawn = symbols.filter((symbol) => !symbol.given);
  if (!drawn.length) return "nothing written";
  const mean = drawn.reduce((sum, symbol) => sum + bits(symbol), 0) / drawn.length;
  return `${drawn.length} symbols written, each a surprise of ${mean.toFixed(2)} bits on average`;
}

function begin(count) {
  symbols = []; spans = []; step = -1; following = true; given = count;
  $("text").replaceChildren();
  $("played").hidden = false;
}

function take(line) {
  const bytes = Uint8Array.from(atob(line.state), (char) => char.charCodeAt(0));
  const symbol = { ...line, state: new Float32Array(bytes.buffer) };
  symbol.given = given === null ? !line.drawn : symbols.length < given;
  strips.forEach((strip) => measure(strip, part(symbol, strip)));
  const span = document.createElement("span");
  span.textContent = line.text;
  span.dataset.step = symbols.length;
  span.className = `${symbol.given ? "given" : ""} ${line.text === "\n" ? "line" : ""}`;
  if (line.drawn && !symbols.at(-1)?.drawn) say("writing …");
  symbols.push(symbol);
  spans.push(span);
  $("text").append(span);
  paint(span, symbol);
  if (following) go(symbols.length - 1);
  else refresh();
}

// The text in colour.

function chosen() {
  const n = $("by").value;
  return n === "" ? null : { strip: strips[n], unit: Number($("unit").value) };
}

function paint(span, symbol) {
  const unit = chosen();
  if (unit === null) {
    const level = symbol.p === null ? null : Math.min(10, Math.round(bits(symbol)));
    span.style.background = level === null ? "" : `var(--h${level})`;
    span.style.color = level === null ? "" : `var(--t${level})`;
  } else {
    span.style.background = tint(part(symbol, unit.strip)[unit.unit] / (unit.strip.most[unit.unit] || 1));
    span.style.color = "";
  }
}

function tint(value) {
  const strength = Number.isFinite(value) ? Math.round(60 * Math.min(1, Math.abs(value))) : 0;
  return `color-mix(in srgb, var(${value < 0 ? "--c0" : "--c1"}) ${strength}%, transparent)`;
}

function recolour() {
  const unit = chosen();
  $("which").hidden = unit === null;
  if (unit !== null) {
    $("unit").max = unit.strip.shown - 1;
    if (!(unit.unit in unit.strip.most)) $("unit").value = unit.unit = 0;
  }
  spans.forEach((span, n) => paint(span, symbols[n]));
  const most = unit?.strip.most[unit.unit];
  const ends = unit === null ? ["0", "10 bits or more"] : [signed(-most, 2), signed(most, 2)];
  const squares = Array.from({ length: 11 }, (_, level) => {
    const square = document.createElement("i");
    square.style.background = unit === null ? `var(--h${level})` : tint((level - 5) / 5);
    return square;
  });
  $("scale").replaceChildren(ends[0], ...squares, ends[1]);
  refresh();
}

// One step.

function go(to) {
  spans[step]?.classList.remove("now");
  step = to;
  spans[step].classList.add("now");
  refresh();
}

// Once per frame, however many symbols have come.
function refresh() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    if (symbols[step]) draw(symbols[step]);
  });
}

function draw(symbol) {
  $("step").max = symbols.length - 1;
  $("step").value = step;
  $("continue").disabled = false;
  const chance = symbol.p === null ? "the first, which nothing precedes"
    : `probability ${symbol.p.toPrecision(3)}, a surprise of ${bits(symbol).toFixed(2)} bits`;
  const place = `step ${step + 1} of ${symbols.length}: ${shown(symbol.text)}`;
  $("place").textContent = `${place}, ${chance}`;
  $("step").setAttribute("aria-valuetext", place);
  list($("here"), symbols[step - 1]?.expected ?? [], symbol);
  list($("next"), symbol.expected, symbols[step + 1]);
  strips.forEach((strip) => heat(strip, part(symbol, strip)));
  const box = $("text"), top = spans[step].offsetTop, height = 2 * spans[step].offsetHeight;
  if (top < box.scrollTop) box.scrollTop = top - height;
  if (top + height > box.scrollTop + box.clientHeight) box.scrollTop = top + height - box.clientHeight;
}

function list(into, expected, came) {
  into.replaceChildren(...expected.map(([id, name, p]) => {
    const row = document.createElement("li"), label = document.createElement("span");
    label.textContent = shown(name);
    row.append(label, p.toFixed(3));
    row.classList.toggle("came", id === came?.id);
    const filled = `${(100 * p).toFixed(1)}%`;
    row.style.background = `linear-gradient(to right, var(--h3) ${filled}, var(--card) ${filled})`;
    return row;
  }));
}

// The carry as strips of heat.

const part = (symbol, strip) => symbol.state.subarray(strip.from, strip.from + strip.shown);
const narrow = matchMedia("(max-width: 48rem)");
const columns = (strip) => Math.min(strip.shown, narrow.matches ? 32 : 64);

function arrange(told) {
  const by = $("by").value;
  let from = 0;
  $("strips").replaceChildren();
  $("by").length = 1;
  strips = told.map((strip, n) => {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    const cells = document.createElement("div"), canvas = document.createElement("canvas");
    const value = document.createElement("span"), mark = document.createElement("i");
    figure.className = "strip";
    cells.className = "cells";
    canvas.setAttribute("role", "img");
    const count = strip.shown < strip.size ? `${strip.shown} of ${strip.size}` : strip.size;
    caption.append(`${strip.name} [${count}]`, value);
    canvas.setAttribute("aria-label", `${strip.name} at this step`);
    cells.append(canvas, mark);
    figure.append(caption, cells);
    $("strips").append(figure);
    $("by").append(new Option(strip.name, n));
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect(), wide = columns(strip);
      const row = Math.floor(((event.clientY - box.top) / box.height) * canvas.height);
      const column = Math.floor(((event.clientX - box.left) / box.width) * wide);
      if (row * wide + column >= strip.shown) return;
      $("by").value = n;
      $("unit").value = row * wide + column;
      recolour();
    });
    const most = new Float32Array(strip.shown);
    const placed = { ...strip, from, canvas, value, mark, most, sum: 0, count: 0 };
    from += strip.shown;
    return placed;
  });
  $("by").value = by < strips.length ? by : "";
}

// The largest magnitude of every unit, and the mean of all.
function measure(strip, values) {
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    strip.most[i] = Math.max(strip.most[i], Math.abs(value));
    strip.sum += Math.abs(value);
    strip.count += 1;
  });
}

function heat(strip, values) {
  const wide = columns(strip), rows = Math.ceil(strip.shown / wide);
  // A unit that counts goes far beyond all others, and would leave them pale.
  const largest = Math.max(...strip.most), end = Math.min(largest, (3 * strip.sum) / strip.count) || 1;
  const { canvas, mark } = strip;
  canvas.width = wide;
  canvas.height = rows;
  canvas.style.height = `${rows > 1 ? 0.8 * rows : 1.6}rem`;
  canvas.parentElement.style.maxWidth = `${1.2 * wide}rem`;
  const [low, zero, high] = ["--c0", "--card", "--c1"].map(rgb);
  const image = canvas.getContext("2d").createImageData(wide, rows);
  values.forEach((value, i) => {
    const share = Number.isFinite(value) ? Math.min(1, Math.abs(value) / end) : 0;
    const full = value < 0 ? low : high;
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = zero[k] + (full[k] - zero[k]) * share;
    image.data[4 * i + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  const unit = chosen(), here = unit?.strip === strip;
  mark.hidden = !here;
  strip.value.textContent = here ? `unit ${unit.unit}: ${signed(values[unit.unit], 3)}`
    : `±${end.toFixed(2)}${end < largest ? " or more" : ""}`;
  if (!here) return;
  mark.style.width = `${100 / wide}%`;
  mark.style.height = `${100 / rows}%`;
  mark.style.left = `${(100 * (unit.unit % wide)) / wide}%`;
  mark.style.top = `${(100 * Math.floor(unit.unit / wide)) / rows}%`;
}

function rgb(name) {
  const hex = colour(name);
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

// What the reader does.

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  play($("prompt").value === "" ? {} : { prompt: $("prompt").value });
});
$("stop").addEventListener("click", () => under?.abort());
$("continue").addEventListener("click", () => {
  const kept = symbols.slice(0, step + 1);
  play({ ids: kept.map((symbol) => symbol.id) }, kept.filter((symbol) => symbol.given).length);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
});
$("step").addEventListener("input", () => {
  following = Number($("step").value) === symbols.length - 1;
  go(Number($("step").value));
});
$("text").addEventListener("click", (event) => {
  const at = event.target.dataset.step;
  if (at === undefined) return;
  following = false;
  go(Number(at));
  $("step").focus({ preventScroll: true });
});
$("by").addEventListener("change", recolour);
$("unit").addEventListener("input", recolour);
for (const query of [narrow, matchMedia("(prefers-color-scheme: dark)")])
  query.addEventListener("change", refresh);
