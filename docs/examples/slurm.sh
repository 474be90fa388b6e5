#!/bin/bash
# Train on every GPU of one node, and again where it stopped if the time is up: `sbatch slurm.sh STORE RUN`
#SBATCH --job-name=calostream
#SBATCH --nodes=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=02:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
set -euo pipefail
store=$1 run=$2

resume=()
if [ -e "$run/config.json" ]; then resume=(--resume); fi
torchrun --nproc-per-node 4 --no-python -- \
    train-torch --store "$store" --run "$run" --threads 4 --batch-size 256 --precision bfloat16 "${resume[@]}" &
training=$!

# Two minutes before the time is up: stop the training, and put the job back into the queue.
trap 'kill -TERM "$training"; wait "$training" || true; scontrol requeue "$SLURM_JOB_ID"; exit 0' TERM
wait "$training"
evaluate "$run" --output "$run-report"
