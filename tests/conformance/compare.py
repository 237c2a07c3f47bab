# SPDX-License-Identifier: AGPL-3.0-or-later
"""compare.py - are the answers of several transports the same, field by field?

Every comparison is kept, and at the end prove() drops every field of every answer once and demands that
the comparison sees it: one that compares nothing cannot pass.
"""
import copy
import os
import re
import sys

from transports import Failure


def kind(value):
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def differences(a, b, loose, path=""):
    """Texts that say where a and b differ; what `loose` matches need only be of one kind."""
    if kind(a) != kind(b):
        return [f"{path or '.'}: {a!r} is not {b!r}"]
    if isinstance(a, dict):
        found = [f"{path}.{k}: only one has it" for k in sorted(set(a) ^ set(b))]
        for k in sorted(set(a) & set(b)):
            found += differences(a[k], b[k], loose, f"{path}.{k}" if path else k)
        return found
    if isinstance(a, list):
        found = [] if len(a) == len(b) else [f"{path}: {len(a)} items are not {len(b)}"]
        for i, (x, y) in enumerate(zip(a, b)):
            found += differences(x, y, loose, f"{path}[{i}]")
        return found
    if loose and re.fullmatch(loose, path):
        return []
    return [] if a == b else [f"{path or '.'}: {a!r} is not {b!r}"]


def paths(value, path=()):
    """Every path to a field of a dict, at any depth."""
    if isinstance(value, dict):
        for k, v in value.items():
            yield path + (k,)
            yield from paths(v, path + (k,))
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from paths(v, path + (i,))


def without(value, path):
    value = copy.deepcopy(value)
    parent = value
    for step in path[:-1]:
        parent = parent[step]
    del parent[path[-1]]
    return value


class Comparisons:
    def __init__(self):
        self.kept, self.broken = [], []
        # TRANSPORT:FIELD - from outside, to see this whole program fail: the first such answer loses it, and
        # the program ends with that comparison.
        self.drop = os.environ.get("CONFORMANCE_DROP", "")

    def fail(self, what, why):
        self.broken.append(what)
        print(f"BROKEN: {what}\n    {str(why)[:1500]}", flush=True)

    def check(self, what, ok, shown=""):
        if not ok:
            self.fail(what, shown)
        return ok

    def same(self, what, loose=None, **answers):
        """Compares the answers by transport; None: this one cannot say it. Returns the first."""
        answers = {name: answer for name, answer in answers.items() if answer is not None}
        dropped = False
        for name, answer in answers.items():
            if isinstance(answer, Failure):
                self.fail(f"{what} by {name}", answer)
                return answer
            transport, _, field = self.drop.partition(":")
            found = [p for p in paths(answer) if p[-1] == field] if transport == name else []
            if found:
                dropped, answers[name] = True, without(answer, found[0])
        names = list(answers)
        self.check(f"{what}: fewer than two to compare", len(names) > 1)
        for name in names[1:]:
            wrong = differences(answers[names[0]], answers[name], loose)
            if wrong:
                self.fail(f"{what}: {names[0]} and {name} differ", "\n    ".join(wrong))
        if dropped:
            sys.exit(1 if self.broken else f"{what}: nobody noticed that {self.drop} is gone")
        self.kept.append((what, loose, answers))
        return answers[names[0]]

    def same_failure(self, what, code, http, status, exit_status, **answers):
        """All refuse for the same reason, each in its own way."""
        for name, answer in answers.items():
            if not self.check(f"{what}: {name} fails", isinstance(answer, Failure), answer):
                return
        want = {"rest": http, "grpc": status, "cli": exit_status}
        rest = answers["rest"]
        for name, answer in answers.items():
            self.check(f"{what}: {name} has its number", answer.status == want[name], answer)
            if name == "cli":
                self.check(f"{what}: the command line says why", rest.detail in answer.detail, (rest, answer))
            else:
                self.check(f"{what}: {name} has the code", answer.code == code, answer)
                self.check(f"{what}: same detail", answer.detail == rest.detail, (rest, answer))
                self.check(f"{what}: same fields", answer.fields == rest.fields, (rest, answer))

    def prove(self):
        """Every field of every answer, dropped, is missed. Returns how many there were."""
        dropped = 0
        for what, loose, answers in self.kept:
            for name in answers:
                for path in paths(answers[name]):
                    dropped += 1
                    less = dict(answers, **{name: without(answers[name], path)})
                    first = next(iter(less))
                    if not any(differences(less[first], less[n], loose) for n in less if n != first):
                        self.fail(f"{what}: {name} without {path} was not noticed", loose)
        return dropped
