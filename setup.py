"""pip install . gives the `nosqgrid` command.  A clone needs no install at all: python3 -m nosqgrid."""

import os
import re

from setuptools import find_packages, setup

HERE = os.path.dirname(os.path.abspath(__file__))


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


setup(
    name="nosqgrid",
    version=re.search(r'^__version__ = "([^"]+)"', read(os.path.join("nosqgrid", "__init__.py")), re.M).group(1),
    description="A shared-memory data grid for the processes of one machine, in vanilla Python",
    long_description=read("README.md"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.6",
    packages=find_packages(include=["nosqgrid", "nosqgrid.*"]),
    entry_points={"console_scripts": ["nosqgrid = nosqgrid.cli.main:main"]},
    classifiers=["Operating System :: Unix", "Programming Language :: Python :: 3"],
)
