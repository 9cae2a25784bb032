# Sourced by the other scripts: named steps with their seconds, and a count of the tests that ran.

# step NAME COMMAND...: runs the command, says how long it took, ends the script when it fails.
step() {
    local name=$1 start=$SECONDS code=0
    shift
    printf '== %s\n' "$name"
    "$@" || code=$?
    if ((code != 0)); then
        printf '== %s failed after %d s (exit code %d)\n' "$name" "$((SECONDS - start))" "$code" >&2
        exit "$code"
    fi
    printf '== %s: %d s\n' "$name" "$((SECONDS - start))"
}

# counted COMMAND...: runs cargo test and adds what it reports to the log that `totals` reads.
counted() {
    "$@" 2>&1 | tee -a "$TEST_LOG"
    return "${PIPESTATUS[0]}"
}

# totals: one line for all test programs together; fails when no test ran.
totals() {
    awk '/^test result:/ { passed += $4; failed += $6 }
         END { printf "%d passed, %d failed\n", passed, failed; exit passed == 0 || failed > 0 }' "$TEST_LOG"
}
