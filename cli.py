#!/usr/bin/env python3
"""Runs the program `localrag`: the built one beside this file, else the one in PATH."""
import os, sys
built = os.path.join(os.path.dirname(os.path.abspath(__file__)), "build/release/bin/localrag")
program = built if os.access(built, os.X_OK) else "localrag"
os.execvp(program, [program] + sys.argv[1:])
