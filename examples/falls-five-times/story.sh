title "4. An agent falls five times within a minute, is restarted once, and the item succeeds"
run daruma submit --id ladder --agent clumsy --max-attempts 8 --backoff 100ms --wait "Climb the ladder"
show "daruma events --since 0 | grep -E 'agent.(error_recorded|health_degraded|restarted)'"
daruma events --since 0 | grep -E 'agent.(error_recorded|health_degraded|restarted)'
run daruma result ladder
