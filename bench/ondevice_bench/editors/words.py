"""The short text that editors show for each key. The pages of `docs/` say more.

The outer key is the name of a schema. Options of methods and models have their words in `specs/`.
"""

from collections.abc import Mapping

from ondevice_bench import passes

# for schemas that have no text of their own for the key
COMMON = {
    "schema": "The version of the format: always 1.",
    "title": "What this is, in a few words, for readers.",
    "purpose": "What this is for, for readers.",
    "extends": "Another file of this kind, by name or path. This file inherits its keys.",
    "batch": "The number of examples in a step. A list gives several cells, one for each number.",
    "weights": "The weights at the start of training: random, pretrained, a spectrum, a file.",
}
_TRAIN = "The optimizer of a step and its settings."
_METHODS = "The ways to train: names, names with options, `compose`, `mix`, your own classes."
_LAYERS = "The layers that a method may change."

WORDS: Mapping[str, Mapping[str, str]] = {
    "Suite": {
        "defaults": "Options for all models or methods that have them.",
        "overrides": "Keys that differ on certain boards, by hardware profile.",
        "expected": "How long the suite takes, by hardware profile: 4m.",
        "models": "The networks: names, names with options, single layers, your own models.",
        "methods": _METHODS,
        "layers": _LAYERS,
        "hardware": "The hardware profiles that the suite is for (default: this machine).",
        "data": "What a batch contains (default: synthetic).",
        "weights": "The weights at the start of training (default: random).",
        "dtype": "The number type of the network (default: float32).",
        "train": _TRAIN,
        "learning": "How the pass `learning` trains.",
        "allocator": "The memory allocator of the measured processes.",
        "seeds": "The seeds of weights and batches (default: 0).",
        "rounds": "New processes for each cell: one number, or one for each pass.",
        "measure": "The passes to run. Names with a plus are added to the default passes.",
        "time": "How many samples the time pass takes.",
        "sustain": "How long the pass `sustained` trains without pause: from 2m to 4h.",
        "timeout": "The time limit of each process: 90s, 10m, 2h (default: 10m).",
        "baseline": "The method that all others are compared with (default: vanilla).",
        "goal": "What the report looks for.",
        "include": "Only cells whose id matches: a pattern, or a part of the id.",
        "exclude": "Leave out cells whose id matches: a pattern, or a part of the id.",
        "when": "Cells that run only on boards with enough memory.",
    },
    "Search space": {
        "methods": _METHODS,
        "layers": _LAYERS,
        "batch": "Batches to choose from (default: the batch of the command line or the model).",
        "train": "Optimizers to choose from, with their settings.",
        "learning": "How candidates train with --min-accuracy or --target.",
    },
    "Defaults": {
        "models": "Options of every model that has them.",
        "methods": "Options of every method that has them.",
    },
    "Train": {
        "optimizer": "The optimizer of torch (default: sgd).",
        "lr": "The learning rate (default: 0.05).",
        "momentum": "The momentum of sgd (default: 0).",
        "weight_decay": "The weight decay (default: 0.0001).",
        "clip": "The largest norm of all gradients; null: no clipping (default: 2).",
        "zero_grad": "What happens to gradients after a step: they are freed, or set to zero.",
        "freeze_bn": "Whether batch-norm stays in evaluation mode (default: true).",
    },
    "LearningPlan": {
        "epochs": "Epochs of training (default: 3).",
        "target": "The accuracy to reach. The time and the energy until then are measured.",
        "examples": "Examples to learn from (default: 1000).",
        "validation": "Examples that choose the learning rate (default: 250).",
        "test": "Examples to test on (default: 1000).",
        "learning_rates": "The learning rates to try (default: the rate of `train`).",
        "rate_epochs": "Epochs with each learning rate to try (default: 1).",
    },
    "Rounds": {name: f"New processes of a pass that {passes.BY_NAME[name].purpose}."
               for name in passes.ROUNDS},
    "Sampling": {
        "warmup": "Steps before the first sample (default: 2).",
        "min_samples": "The lowest number of samples (default: 10).",
        "max_samples": "The highest number of samples (default: 100).",
        "max_seconds": "The longest time for samples: 60, 90s, 2m (default: 60).",
        "precision": "Stop when the interval is this narrow: 2% (default: 2%).",
    },
    "Goal": {
        "minimise": "The metric to minimise (default: step_seconds).",
        "min_cosine": "The lowest allowed cosine to plain training's gradients (default: 0.9).",
        "max_peak": "The largest peak of memory over the runtime floor: 512M, 2G.",
        "max_slowdown": "The longest step, as a multiple of the baseline's.",
    },
    "Condition": {
        "cells": "The cells, by id: a pattern, or a part of the id.",
        "memory_gib": "The memory that the board must have, in GiB.",
    },
    "ProfileSchema": {
        "recognise": "The rules by which a machine is recognised as this board.",
        "by_name_only": "Whether only `--hardware` chooses this profile (default: false).",
        "emulated": "Whether another machine emulates this board (default: false).",
        "cores": "The number of cores.",
        "clock_mhz": "The highest clock, in MHz.",
        "peak_gflops": "The peak of all cores together, by type of number, in GFLOP/s.",
        "memory": "The memory of the board.",
        "caches": "The sizes of data caches, in KiB.",
        "page_kib": "The size of a page of memory, in KiB.",
        "governor": "The governor of the clock that measurements need.",
        "throttling": "How the board reports that it lowers its clock.",
        "power": "The meter of energy: rapl, pmic, hwmon, or a command.",
        "threads": "The threads of a worker (default: physical).",
        "affinity": "The processors of a worker: how many, or which ones.",
        "memory_cap": "The memory that a worker may allocate: 512M, 2G (at least 256M).",
        "allocator": "The memory allocator of workers, for suites that name none.",
    },
    "Recognise": {
        "arch": "The architecture, as a glob: aarch64.",
        "board": "The name of the board, as a glob.",
        "cpu": "The name of the processor, as a glob.",
        "memory_gib": "The memory in whole GiB.",
    },
    "Peaks": {
        "float32": "GFLOP/s of float32.",
        "float64": "GFLOP/s of float64.",
        "bfloat16": "GFLOP/s of bfloat16.",
    },
    "Memory": {
        "gib": "The memory of the board, in GiB.",
        "bandwidth_gb_per_s": "The bandwidth of memory, in GB/s.",
    },
    "Caches": {
        "l1_kib": "The first level, of one core, in KiB.",
        "l2_kib": "The second level, in KiB.",
        "l3_kib": "The third level, in KiB.",
    },
    "LayoutSchema": {"sections": "The sections of the page, in their order."},
    "ClaimsSchema": {
        "papers": "The papers by a short name.",
        "claims": "What the papers publish.",
    },
    "_Paper": {
        "reference": "Where the paper was published.",
        "train": "How the paper trains. Leave it out if the paper does not say it.",
    },
    "_Claim": {
        "id": "A name of the claim: letters, digits, '.', '_' and '-'.",
        "paper": "The paper, by its name in `papers`.",
        "says": "What the paper says, in our words.",
        "source": "The table, the figure or the section.",
        "scope": "What the number covers.",
        "computed": "How we get the number: by a formula, by a measurement, or from other numbers.",
        "published": "The number as printed, in quotes.",
        "unit": "The unit of the number (default: x, a ratio).",
        "reach": "How the paper qualifies the number (default: exactly).",
        "quantity": "What an accounted claim counts.",
        "dialect": "The paper's way of counting (default: exact).",
        "ratio_of": "The method that the number is compared with.",
        "measured": "The metrics with which a run can confirm the claim. The first one decides.",
        "boards": "The boards of the paper.",
        "of": "The conditions, as a cell. Leave out a key if the paper does not say it.",
        "needs": "What a run of this cell needs, if we do not have it.",
        "untestable": "Why no run can decide the claim.",
        "remark": "More about the claim, for readers.",
        "epochs": "The length of the paper's training. A shorter one decides nothing.",
        "command": "The command to run once you have what it needs.",
    },
    "_Query": {
        "model": "A model, or a pattern of several.",
        "method": "A method, or several that are joined by a plus.",
        "layers": _LAYERS,
        "batch": "The number of examples in a step.",
        "weights": "The kind of weights.",
        "data": "The kind of data.",
        "dtype": "The type of number (default: float32).",
        "model_options": "Options of the model.",
        "method_options": "Options of the method.",
    },
    "FleetSchema": {
        "boards": "The boards of the lab.",
        "cooling": "How cool a board must be before it measures a cell.",
        "patience": "How long the desk waits for a lost board: 90s, 3m (default: 3m).",
    },
    "FleetBoardSchema": {
        "host": "USER@HOST, USER@HOST:PORT, or a name of `hosts.yaml`.",
        "tags": "Words by which `--tag` chooses boards.",
        "lock": "A command on the desk that locks the board. It runs without a shell.",
        "unlock": "A command on the desk that gives the board back.",
        "profile": "The hardware profile to use in place of the recognised one.",
    },
    "CoolingSchema": {
        "celsius": "A board that is hotter than this does not measure (default: 70).",
        "wait": "How long the desk waits for a hot board: 90s, 10m (default: 10m).",
    },
    "HostsSchema": {"boards": "The boards by your own names."},
    "BoardSchema": {
        "address": "USER@HOST or USER@HOST:PORT.",
        "folder": "The folder of bench there (default: .ondevice-bench).",
        "python": "The Python there that has bench.",
        "ssh_config": "A configuration file for ssh, beside this file.",
    },
}  # fmt: skip
