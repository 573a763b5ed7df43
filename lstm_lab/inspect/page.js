"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const influence = bytes(data.influence);
const leaves = data.leaves.map((leaf) => ({ ...leaf, levels: new Int8Array(bytes(leaf.values).buffer) }));
const symbols = [...find("text").children];
const T = symbols.length;
// What colours the text: a leaf and a unit's place in it, or surprise where the leaf is -1; and the symbol chosen.
const chosen = { leaf: -1, place: 0, at: 0 };

const signed = (value) => value.toPrecision(3).replace("-", "\u2212");
// No more places than the levels of a unit are apart.
const rounded = (value, most) =>
  value.toFixed(Math.min(6, Math.max(0, Math.ceil(-Math.log10(most / 127 || 1))))).replace("-", "\u2212");
const bits = (value) => `${value.toFixed(1)} bits`;
const level = (leaf, place, t) => leaf.levels[place * T + t] / 127;
const mixed = (part) =>
  `color-mix(in oklab, var(${part < 0 ? "--low" : "--high"}) ${Math.round(100 * Math.abs(part))}%, var(--paper))`;

function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

function visibly(text) {
  return element("code", text.replace("\n", "").replace(/ /g, "\u2423"));
}

function paint() {
  const leaf = leaves[chosen.leaf];
  const most = leaf ? leaf.scale[chosen.place] : data.blind;
  symbols.forEach((symbol, t) => {
    symbol.style.backgroundColor = mixed(
      leaf ? level(leaf, chosen.place, t) : Math.min(1, (data.bits[t] ?? 0) / most),
    );
  });
  find("least").textContent = leaf ? signed(-most) : "0";
  find("most").textContent = leaf ? signed(most) : `${bits(most)} and more`;
  find("ramp").classList.toggle("one-sided", !leaf);
  find("units").hidden = !leaf;
  for (const button of document.querySelectorAll("button[data-leaf]")) {
    const same = Number(button.dataset.leaf) === chosen.leaf && Number(button.dataset.place) === chosen.place;
    button.setAttribute("aria-pressed", same);
  }
}

function choose(leaf, place) {
  if (leaf !== chosen.leaf || !find("unit").length) {
    const units = leaf < 0 ? [] : leaves[leaf].unit;
    find("unit").replaceChildren(...units.map((unit, k) => element("option", unit, { value: k })));
  }
  Object.assign(chosen, { leaf, place: leaf < 0 ? 0 : Math.min(place, leaves[leaf].unit.length - 1) });
  find("leaf").value = leaf;
  find("unit").value = chosen.place;
  paint();
  show(chosen.at);
}

function row(heading, part, value) {
  const line = element("tr", "");
  const bar = element("td", "", { className: "bar" });
  const length = bar.appendChild(element("span", ""));
  length.style.width = `${100 * Math.abs(part)}%`;
  line.append(element("th", "", { scope: "row" }), bar, element("td", value, { className: "figure" }));
  line.firstChild.append(heading);
  return line;
}

function predictions(t) {
  const next = data.ids[t + 1];
  const told = data.top[t].map((id, k) => [id, data.probability[t][k]]);
  if (next !== undefined && !data.top[t].includes(next)) told.push([next, 2 ** -data.bits[t + 1]]);
  const lines = told.map(([id, probability]) => {
    const line = row(visibly(data.shown[id]), probability, probability.toFixed(3));
    line.classList.toggle("came", id === next);
    return line;
  });
  find("predictions").replaceChildren(element("caption", "predicted next, with probability"), ...lines);
}

function numbers(t) {
  const own = leaves[chosen.leaf];
  const unit = own?.unit[chosen.place];
  const lines = leaves
    .filter((leaf) => leaf.layer === own?.layer && leaf.unit.length === own.unit.length)
    .map((leaf) => {
      const part = level(leaf, chosen.place, t);
      const most = leaf.scale[chosen.place];
      const line = row(`${leaf.name} ${leaf.kind}`, part, rounded(part * most, most));
      line.title = leaf.meaning;
      line.querySelector("span").style.backgroundColor = part < 0 ? "var(--low)" : "var(--high)";
      return line;
    });
  const title = element("caption", own ? `layer ${own.layer}, unit ${unit}` : "");
  find("numbers").replaceChildren(title, ...lines);
}

function leaning(t) {
  const shares = [...influence.subarray(t * data.lags, (t + 1) * data.lags)].slice(0, t + 1);
  symbols.forEach((symbol) => (symbol.style.boxShadow = ""));
  shares.forEach((share, lag) => {
    if (share > 2) {
      // By its root, so that a tenth of the greatest is still seen.
      const part = Math.round(100 * Math.sqrt(share / 255));
      symbols[t - lag].style.boxShadow = `inset 0 -0.2em color-mix(in srgb, var(--lean) ${part}%, transparent)`;
    }
  });
  const order = shares.map((_, lag) => lag).sort((a, b) => shares[b] - shares[a]);
  const said = order.slice(0, 3).flatMap((lag) => [visibly(symbols[t - lag].textContent), ` ${lag} back, `]);
  said[said.length - 1] = said.at(-1).replace(", ", "");
  find("leaning").replaceChildren("leaned most on ", ...said);
}

function show(t) {
  document.querySelector("#text .here")?.classList.remove("here");
  symbols[t].classList.add("here");
  find("symbol").replaceChildren("after ", visibly(symbols[t].textContent));
  const surprise = data.bits[t] === null ? "nothing predicted it" : `its surprise ${bits(data.bits[t])}`;
  find("surprise").textContent = `symbol ${(t + 1).toLocaleString("en")} of ${T.toLocaleString("en")}, ${surprise}`;
  predictions(t);
  leaning(t);
  numbers(t);
}

function go(t) {
  chosen.at = Math.max(0, Math.min(t, T - 1));
  show(chosen.at);
  symbols[chosen.at].scrollIntoView({ block: "nearest" });
}

const under = (event) => symbols.indexOf(event.target);
find("text").addEventListener("mouseover", (event) => under(event) >= 0 && show(under(event)));
find("text").addEventListener("mouseleave", () => show(chosen.at));
find("text").addEventListener("click", (event) => under(event) >= 0 && go(under(event)));
find("text").addEventListener("keydown", (event) => {
  const to = { ArrowLeft: chosen.at - 1, ArrowRight: chosen.at + 1, Home: 0, End: T - 1 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    go(to);
  }
});
find("leaf").addEventListener("change", (event) => choose(Number(event.target.value), chosen.place));
find("unit").addEventListener("change", (event) => choose(chosen.leaf, Number(event.target.value)));
for (const button of document.querySelectorAll("button[data-leaf]")) {
  button.addEventListener("click", () => choose(Number(button.dataset.leaf), Number(button.dataset.place)));
}

symbols.forEach((symbol) => symbol.classList.toggle("line", symbol.textContent.includes("\n")));
chosen.at = Math.min(data.lags, T - 1);
const first = document.querySelector("button[data-leaf]")?.dataset ?? { leaf: leaves.length ? 0 : -1, place: 0 };
choose(Number(first.leaf), Number(first.place));
