#!/bin/bash
# Train on every GPU of several nodes, from a store at a URL: `sbatch slurm_nodes.sh s3://bucket/store.zarr RUN`
# Each node keeps the shards that it reads on a disk of its own. RUN is in a folder that all nodes share.
#SBATCH --job-name=calostream
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=02:00:00
set -euo pipefail
store=$1 run=$2

export CALOSTREAM_CACHE=${TMPDIR:-/tmp}/calostream-$SLURM_JOB_ID CALOSTREAM_CACHE_SIZE=400GB
read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
resume=()
if [ -e "$run/config.json" ]; then resume=(--resume); fi
srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint "$first:29500" \
    --rdzv-id "$SLURM_JOB_ID" --no-python -- \
    train-torch --store "$store" --run "$run" --threads 4 --batch-size 256 --precision bfloat16 "${resume[@]}"
evaluate "$run" --output "$run-report"
