title "3. An item too vague to spend money on comes back with its questions"
ends_with 5 daruma submit --id vague --wait "just make it better somehow"
