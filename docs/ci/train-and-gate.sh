#!/usr/bin/env bash
# Train a candidate, hold it against the gates, and export it when they are met.
#
#     train-and-gate.sh TRAIN TEST OUT
#
# TRAIN and TEST are tables with a text and a label; OUT is a folder that is kept between runs. The last candidate that met
# the gates stands there as `accepted`: the log shows whether the new one differs from it by more than chance.
set -euo pipefail

train=$1 test=$2 out=$3
mkdir -p "$out"

dlcli train-text "$train" --out "$out/candidate" --force --quiet --json > "$out/training.json"

gates=(--min accuracy=0.85 --min f1_macro=0.85 --max ece=0.1)
if dlcli evaluate "$out/candidate" "$test" "${gates[@]}" --gate lower --json > "$out/scores.json"; then
    echo "all gates are met"
else
    code=$?
    case $code in
        7) echo "a gate is not met: nothing is exported" ;;
        3) echo "the data is bad" ;;
        *) echo "something else went wrong (exit code $code)" ;;
    esac
    exit "$code"
fi

if [[ -d $out/accepted ]]; then
    dlcli compare "$out/accepted" "$out/candidate" --on "$test"
fi

dlcli export "$out/candidate" --format savedmodel --out "$out/model" --verify 64 --force
rm -rf "$out/accepted"
mv "$out/candidate" "$out/accepted"
