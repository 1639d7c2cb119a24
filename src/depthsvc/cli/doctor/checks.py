"""The table of checks."""

from __future__ import annotations

from depthsvc.cli.doctor import machine, model, network
from depthsvc.cli.doctor.configuration import Configuration, settings_that_differ
from depthsvc.cli.doctor.finding import Check, Finding, fine, note, wrong
from depthsvc.settings import unknown_variables


def settings(configuration: Configuration) -> Finding:
    different = settings_that_differ(configuration)
    words = [f"{name} is {value} ({configuration.sources[name]})" for name, value in different.items()]
    known = f"{'; '.join(words) or 'all as by default'}."
    if configuration.problems:
        return wrong(" ".join([*configuration.problems, known]))
    if unknown := unknown_variables():
        return note(f"{known} Not a setting, and without effect: {', '.join(unknown)}.")
    return fine(known)


CHECKS = (
    Check("version", machine.version),
    Check("python", machine.python),
    Check("processor", machine.processor),
    Check("cpus", machine.cpus),
    Check("memory", machine.memory),
    Check("gpus", machine.gpus),
    Check("settings", settings),
    Check("engines", model.engines),
    Check("extras", model.extras),
    Check("weights", model.weights),
    Check("cache", model.cache),
    Check("temporary", model.temporary),
    Check("proxies", network.proxies),
    Check("certificates", network.certificates),
    Check("port", network.port),
    Check("self-test", model.self_test),
)
