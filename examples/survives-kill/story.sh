title "5. kill -9 in the middle of a batch: nothing is lost, nothing is done twice"
witness=$STORY_HOME/witness
python examples/survives-kill/batch.py "$witness" > "$STORY_HOME/batch.json"
run daruma batch "$STORY_HOME/batch.json"
until [[ -e $witness && $(wc -l < "$witness") -ge 20 ]]; do sleep 0.05; done
show "kill -9 $daemon"
kill -9 "$daemon"
wait "$daemon" 2>/dev/null || true
wake
show "daruma work wait brick-1 ... brick-16"
for number in $(seq 16); do daruma work wait "brick-$number" >/dev/null || fail "brick-$number did not succeed"; done
run python examples/survives-kill/count.py "$witness"
