#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/../telling.sh"
title '4. An agent falls five times within a minute, is restarted once, and the item succeeds'
run 'daruma submit --item examples/falls-five-times/item.json'
run "daruma events --since 0 --follow --until agent.restarted | grep --line-buffered -E 'agent[.](error|health|restarted)'"
run 'daruma work wait ladder'
run 'daruma result ladder'
run "daruma metrics | grep -E '^daruma_agent_(errors|restarts)_total.*clumsy.* [1-9]'"
