#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/../telling.sh"
title '2. Three items that need each other: handed in backwards, done in order'
run 'daruma batch examples/three-in-order/items.json'
run 'daruma work wait publish'
run "daruma events --since 0 --type work.succeeded | grep -E ' (draft|edit|publish) '"
