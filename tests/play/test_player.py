"""What a player tells: the text that a writer writes, and of every symbol what the network says when read at once."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_lab.errors import NonFiniteError, UsageError
from lstm_lab.play import player as module
from lstm_lab.play.player import BLOCK, Player
from lstm_lab.text.sampling import Sampling
from lstm_lab.text.writer import Writer

SAMPLING = Sampling(temperature=1.3, top_k=9, min_p=0.01, repetition=1.4)


def test_it_writes_what_a_writer_writes(player: Player, writer: Writer) -> None:
    prompt = "to be or not to be,\n" * 4
    assert len(prompt) > BLOCK
    ids = player.vocabulary.encode(prompt)
    symbols = list(player.play(ids, 70, SAMPLING, 3))
    assert "".join(symbol.text for symbol in symbols if not symbol.drawn) == prompt
    drawn = "".join(symbol.text for symbol in symbols if symbol.drawn)
    assert drawn == "".join(piece for (piece,) in writer.write(prompt, 70, SAMPLING, 3))
    assert drawn != "".join(piece for (piece,) in writer.write(prompt, 70, SAMPLING, 4))


def test_it_tells_what_the_network_says_when_read_at_once(player: Player, writer: Writer) -> None:
    ids = player.vocabulary.encode("that is the question.")
    symbols = list(player.play(ids, 20, SAMPLING, 0))
    read = jnp.array([[symbol.id for symbol in symbols]])
    network, params = writer.network()
    _, logits = network.apply(params, read)
    p = np.asarray(jax.nn.softmax(logits[0]))
    assert symbols[0].p is None
    given = np.array([symbol.p for symbol in symbols[1:]], np.float32)
    np.testing.assert_allclose(given, p[np.arange(40), read[0, 1:]], rtol=1e-4)
    for symbol, row in zip(symbols, p, strict=True):
        best = np.sort(row)[::-1][:5]
        np.testing.assert_allclose([p for _, _, p in symbol.expected], best, rtol=1e-4)
        assert [name for _, name, _ in symbol.expected] == [
            player.vocabulary.symbols[i] for i, _, _ in symbol.expected
        ]
    names = [strip.name for strip in player.strips]
    assert names == ["layer 1 h", "layer 1 c", "layer 2 h", "layer 2 c"]
    assert {(strip.shown, strip.size) for strip in player.strips} == {(8, 8)}
    for step in (0, 20, 40):
        carry, _ = network.apply(params, read[:, : step + 1])
        held = np.concatenate([leaf[0] for leaf in jax.tree.leaves(carry)])
        np.testing.assert_allclose(symbols[step].state, held, atol=1e-5)


def test_a_text_goes_on_from_the_symbols_it_was_cut_at(player: Player, writer: Writer) -> None:
    first = list(player.play(player.vocabulary.encode("to"), 30, SAMPLING, 0))[:12]
    text = "".join(symbol.text for symbol in first)
    again = list(player.play(np.array([symbol.id for symbol in first]), 20, SAMPLING, 8))
    for before, after in zip(first, again, strict=False):
        assert before.text == after.text
        np.testing.assert_allclose(after.state, before.state, atol=1e-6)
    drawn = "".join(symbol.text for symbol in again[12:])
    assert drawn == "".join(piece for (piece,) in writer.write(text, 20, SAMPLING, 8))


def test_a_longer_text_compiles_nothing(player: Player) -> None:
    def play(length: int) -> tuple[int, int]:
        told = player.play(np.arange(length) % 5, length, SAMPLING, 0)
        assert len(list(told)) == 2 * length
        # JAX counts the programs of a function, and does not say so in its types.
        return tuple(call._cache_size() for call in (module._read, module._draw))  # type: ignore[attr-defined]

    before = play(3)
    assert [play(length) for length in (5, BLOCK, BLOCK + 1)] == [before] * 3


def test_bytes_are_text_once_they_are_whole(draw_run: Callable[..., Path]) -> None:
    player = Player(Writer(draw_run("né ", "byte", 1), "last", 0))
    symbols = list(player.play(player.vocabulary.encode("né"), 3, Sampling(), 0))
    assert [symbol.text for symbol in symbols[:3]] == ["n", "", "é"]
    assert [strip.name for strip in player.strips] == ["h", "c"]
    names = [name for symbol in symbols for i, name, _ in symbol.expected if i >= 128]
    assert names
    assert all(name.startswith("#") for name in names)


def test_of_a_large_part_evenly_spaced_numbers_are_told(
    player: Player, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = player.vocabulary.encode("to be")
    told = list(player.play(ids, 1, Sampling(), 0))
    monkeypatch.setattr(module, "MOST", 3)
    sparse = Player(writer)
    assert {(strip.shown, strip.size) for strip in sparse.strips} == {(3, 8)}
    for whole, some in zip(told, sparse.play(ids, 1, Sampling(), 0), strict=True):
        parts = whole.state.reshape(len(player.strips), 8)[:, [0, 4, 7]]
        np.testing.assert_allclose(some.state, parts.ravel(), atol=1e-6)


def test_it_refuses_what_makes_no_text(player: Player) -> None:
    ids = np.array([1])
    with pytest.raises(UsageError, match="prompt: got nothing, wanted at least one symbol"):
        player.play(ids[:0], 1, Sampling(), 0)
    with pytest.raises(UsageError, match="length: 0: give at least 1 symbol"):
        player.play(ids, 0, Sampling(), 0)
    with pytest.raises(UsageError, match=r"top_k: got 999, wanted 1 to \d+, the vocabulary"):
        player.play(ids, 1, Sampling(top_k=999), 0)


def test_a_network_that_has_diverged_is_named(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, params = writer.network()
    broken = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), params)
    monkeypatch.setattr(writer, "network", lambda: (network, broken))
    with pytest.raises(NonFiniteError, match="the logits after symbol 0 are not finite"):
        next(Player(writer).play(np.array([1]), 1, Sampling(), 0))
