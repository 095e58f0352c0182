#!/bin/bash
# Written by silc for its jobs.
#SBATCH --job-name=silc-ablation-0123456789ab
#SBATCH --partition=gpu
#SBATCH --account=vision
#SBATCH --nodes=2
#SBATCH --ntasks=8
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=6
#SBATCH --mem=64G
#SBATCH --gres=gpu:4
#SBATCH --time=2-00:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --export=NONE
#SBATCH --chdir="/home/me/my work"
#SBATCH --output=/home/me/runs/100%%/slurm/silc-ablation-0123456789ab-%a.out
#SBATCH --array=0-1,4%2
#SBATCH --dependency=aftercorr:12
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --exclude=n7
#SBATCH --comment="an ablation"
#SBATCH -x n8

# Nothing of the login node's environment comes along but this; what the job has, its steps have.
export SLURM_EXPORT_ENV=ALL
export SILC_ENGINE='/opt/silc/bin/silc-engine'
export SILC_DATA='/data/a b'

cells=(
  [0]='/home/me/runs/ablation/clip/seed-0-a'
  [1]='/home/me/runs/ablation/it'\''s/seed-0-b'
  [4]='/home/me/runs/ablation/silc/seed-0-c'
)
cell=${cells[${SLURM_ARRAY_TASK_ID:-0}]}
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}
echo "silc: job $job, start $((${SLURM_RESTART_COUNT:-0} + 1)), on $SLURM_JOB_NODELIST: $cell"
module load cuda/12.4 || { echo "silc: launcher.slurm.setup failed: "'module load cuda/12.4' >&2; exit 1; }
source ~/env/bin/activate || { echo "silc: launcher.slurm.setup failed: "'source ~/env/bin/activate' >&2; exit 1; }

# Where ranks meet: the first node, by the address that Slurm itself reaches it at.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_ADDR=$(scontrol --oneliner show node "$first" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
export MASTER_ADDR=${MASTER_ADDR:-$first}
export MASTER_PORT=$((20000 + (SLURM_JOB_ID * 7 + ${SLURM_RESTART_COUNT:-0} * 1009) % 12000))

checkpoints() { ls "$cell/checkpoints" 2>/dev/null | grep '^step-.*safetensors$'; }
before=$(checkpoints)
warned=
trap 'again=yes; warned=yes; echo "silc: warned of the time limit"; kill -USR1 "$ranks"' USR1
trap again=yes TERM

srun --ntasks=8 --kill-on-bad-exit=0 --wait=0 --cpus-per-task=6 '/opt/silc/bin/silc' slurm-task --folder "$cell" --threads 6 --plugin-path '/home/me/plugins' &
ranks=$!
# A signal ends a wait early.
again=yes
while [ -n "$again" ]; do
  again=
  wait "$ranks"
  code=$?
done
echo "silc: ended with $code${warned:+, after the warning}"
[ "$code" = 0 ] && exit 0
# One that ends within the grace time of its preemption has ended, for Slurm, on its own.
preempted=$(scontrol --oneliner show job "$job" | grep -o ' PreemptTime=[0-9]')
if [ -n "$warned" ] && [ "$(checkpoints)" = "$before" ]; then
  echo "silc: no checkpoint was written between the start and the warning, so starting again would lead nowhere"
elif [ -n "$warned$preempted" ]; then
  if scontrol requeue "$job"; then
    sleep 300  # until Slurm ends this start
  else
    echo "silc: $job could not be requeued; silc run goes on from its checkpoint"
  fi
fi
exit "$code"
