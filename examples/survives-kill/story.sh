#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/../telling.sh"
title '5. kill -9 in the middle of a batch: nothing is lost, nothing is done twice'
run 'daruma batch examples/survives-kill/items.ndjson | tail -n 2'
run "until grep -qs 'brick-8 3' build/demo/witness; do sleep 0.05; done"
run 'tail -n 1 build/demo/witness'
fell
wake
run 'daruma work wait --label wall=north | tail -n 2'
run 'python3 examples/survives-kill/count.py build/demo/witness'
