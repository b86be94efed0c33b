"""Packages of the wheel: `agents/` of the checkout is installed as `autoloss_gym.agents`."""

from setuptools import find_packages, setup

packages = find_packages(include=["autoloss_gym", "autoloss_gym.*"])
for name in find_packages(include=["agents", "agents.*"]):
    packages.append(f"autoloss_gym.{name}")

setup(
    packages=packages,
    package_dir={"autoloss_gym.agents": "agents"},
)
