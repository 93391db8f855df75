#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/../telling.sh"
title '1. Work that needs no model: document a package, without ever importing it'
run 'daruma submit --id reference --agent documentation --input src/darumad/supervision --wait "Document this package"'
run 'daruma result reference --save build/demo/saved'
run 'head -n 12 build/demo/saved/reference.md'
