title "2. Three items that need each other: handed in backwards, done in order"
run daruma batch examples/three-in-order/items.json
run daruma work wait publish
show "daruma events --since 0 --type work.succeeded"
daruma events --since 0 --type work.succeeded | grep -E 'draft|edit|publish'
