#!/usr/bin/env bash
# The main job, end to end: train on real text, be interrupted, go on, prune, fine-tune, write text.
# Run by `make demo` from the top of the repository; two to three minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
cairn=build/cairn
demo=build/demo
source_dir=/usr/share/games/fortunes

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() { printf '$'; printf ' %q' "$@"; printf '\n'; "$@"; }

say 'English text: the files of the Debian package fortunes'
rm -rf "$demo"
mkdir -p "$demo/fortunes"
for file in "$source_dir"/*; do
    case "$file" in *.dat | *.u8) continue ;; esac # indexes, and second names
    cp "$file" "$demo/fortunes/"
done
printf '%s files, %s bytes\n' "$(ls "$demo/fortunes" | wc -l)" "$(cat "$demo"/fortunes/* | wc -c)"

say 'A GPT learns it, checkpoints appear; after step 450 the run is interrupted'
printf '$ %s fit configs/demo.yaml\n' "$cairn"
"$cairn" fit configs/demo.yaml &
training=$!
trap 'kill "$training" 2>/dev/null || true' EXIT
until grep -q '"step":450,' "$demo/pretrain/metrics.jsonl" 2>/dev/null; do
    kill -0 "$training" 2>/dev/null || { echo 'the training ended too early' >&2; exit 1; }
    read -r -t 0.2 <> <(:) || true
done
printf '$ kill -TERM (the training)\n'
kill -TERM "$training"
code=0
wait "$training" || code=$?
trap - EXIT
echo "exit code $code (75: stopped with a good checkpoint, run again with --resume)"
test "$code" -eq 75

say 'The same command with --resume goes on at that step'
run "$cairn" fit configs/demo.yaml --resume

say 'What is there: the last 3 checkpoints, and the model alone of every second one'
run "$cairn" checkpoint list "$demo/pretrain"
run "$cairn" checkpoint verify "$demo"/pretrain/*.mdl

say 'Fine-tuning on one topic from the model alone: step, moments and data begin anew'
run "$cairn" fit configs/demo_finetune.yaml
run "$cairn" checkpoint list "$demo/finetune"

say 'What the models write'
run "$cairn" generate --checkpoint_path "$demo/pretrain/model_checkpoint_1000.mdl" \
    --prompt 'The ' --max_tokens 300 --seed 1
printf '\n'
run "$cairn" generate --checkpoint_path "$demo/finetune/checkpoint_100.mdl" \
    --prompt 'A computer ' --max_tokens 300 --seed 1

say 'Validation loss, in nats a byte'
grep -h '"val_loss"' "$demo/pretrain/metrics.jsonl" "$demo/finetune/metrics.jsonl"
last=$(grep '"val_loss"' "$demo/pretrain/metrics.jsonl" | tail -n 1 |
    sed 's/.*"val_loss":\([0-9.]*\).*/\1/')
awk -v loss="$last" 'BEGIN {
    if (!(loss <= 2.6)) { print "the validation loss " loss " is above 2.6"; exit 1 }
}'
