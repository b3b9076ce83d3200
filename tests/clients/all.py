#!/usr/bin/env python3
"""Runs client libraries, then applications, and shows in the end which of them work: `make test-clients`, README.md.

    all.py [NAME...]

    NAME   only those whose names have this in them
"""

import argparse
import sys

import apps
import run
import targets


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    names = parser.parse_args().names
    libraries, applications = run.named(names, run.LIBRARIES), apps.named(names, apps.APPLICATIONS)
    summaries = []
    if libraries:
        with targets.Synod() as target:
            summaries.append((run.summary, run.run_all(target, libraries)))
    if applications:
        summaries.append((apps.summary, (apps.run_all(applications),)))
    if not summaries:
        parser.error("no library and no application has such a name")
    return max(summary(*result) for summary, result in summaries)


if __name__ == "__main__":
    sys.exit(main())
