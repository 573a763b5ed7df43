"""Every experiment file: it loads, it is valid, and its claims speak of something it runs."""

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from lstm_lab.config import from_json, to_json
from lstm_lab.errors import AbsentError
from lstm_lab.experiment import Experiment
from lstm_lab.run_command import load
from lstm_lab.runner import named
from lstm_lab.size import Hidden

FILES = sorted((Path(__file__).parents[1] / "experiments").glob("[!_]*.py"))


def forms(path: Path) -> list[Experiment]:
    module = load(path)
    return [named(getattr(module, n), path) for n in ("experiment", "full") if hasattr(module, n)]


def test_there_are_experiments() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestEveryExperiment:
    def test_it_is_valid_and_says_what_it_is_about(self, path: Path) -> None:
        for heading in ("Claim", "Source", "Command"):
            assert re.search(rf"^{heading}: \S", load(path).__doc__ or "", re.MULTILINE), heading
        for experiment in forms(path):
            assert isinstance(experiment, Experiment)
            assert experiment.name == path.stem
            assert experiment.question
            assert experiment.claim
            assert experiment.source
            assert experiment.claims
            try:
                experiment.validate()
                experiment.smoke().validate()
            except AbsentError as error:
                pytest.skip(str(error))

    def test_every_claim_speaks_of_a_trial(self, path: Path) -> None:
        for experiment in forms(path):
            sizes = [f", {size.label}" for size in experiment.sizes] or [""]
            models = [m.label + size for m in experiment.models for size in sizes]
            pairs = list(product(models, [task.label for task in experiment.tasks]))
            assert len(set(pairs)) == len(pairs), "labels tell trials apart"
            for claim in experiment.claims:
                assert any(claim.selects(*pair) for pair in pairs), claim
                kind, _, name = str(claim.against).partition(":")
                assert kind != "model" or name in models, claim

    def test_its_picture_is_the_experiment(self, path: Path) -> None:
        for experiment in forms(path):
            assert from_json(json.loads(json.dumps(to_json(experiment)))) == experiment

    def test_its_trials_have_directories_of_their_own(self, path: Path) -> None:
        # One width for all: looking for those of a budget takes a second each, and tells trials apart.
        experiment = replace(forms(path)[0], size=Hidden(8))
        ids = [trial.id for trial in experiment.trials()]
        assert len(set(ids)) == len(ids)
        for name in ids:
            assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name), name
