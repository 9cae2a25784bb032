# Thin names for the scripts; CI calls the scripts themselves, so `just` need not be installed.

# List the recipes.
default:
    @just --list

# Everything that must pass, as CI runs it.
ci:
    .ci/run

# Checks and tests; installs what is missing.
test *words:
    scripts/test {{words}}

# Checks and tests that need only Rust, a C compiler and Python.
fast *words:
    scripts/test --fast {{words}}

# Everything on the release binary with the large counts.
full:
    scripts/test --full

# Memory, processor time and behaviour under many clients; prints figures.
performance *words:
    cargo test --profile fast -p seaworthy --test performance -- --nocapture {{words}}

# Line coverage; fails below the threshold.
coverage *words:
    scripts/coverage {{words}}

# Licences, bans, sources and advisories of the dependencies.
deny:
    scripts/deny

# The repository's own rules.
tidy:
    cargo xtask tidy

# Formats everything.
fmt:
    cargo fmt --all
