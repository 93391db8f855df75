#!/usr/bin/env bash
source "$(dirname "${BASH_SOURCE[0]}")/../telling.sh"
title '3. An item too vague to spend money on comes back with its questions'
ends_with 5 'daruma submit --id vague --wait < examples/too-vague/item.txt'
