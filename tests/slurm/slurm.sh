# SPDX-License-Identifier: BSD-3-Clause
# Time limit: 300 s
# The batch scripts of examples/slurm on a real Slurm of two nodes: make check-slurm.
: "${srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"
cd "$builddir" || exit 1
scripts=$srcdir/examples/slurm

cannot() { skip "$1"; exit 77; }
started_here() {
    case $(${MPIRUN:-mpirun} --version 2>&1) in *"Open MPI"*) ;; *) cannot "needs Open MPI's mpirun" ;; esac
    [ "$(id -u)" -eq 0 ] || cannot "needs root"
    for tool in munged slurmctld slurmd sbatch; do
        command -v $tool > /dev/null || cannot "no $tool"
    done
    reason=$("$srcdir/tests/hosts/hosts" 1 true 2>&1) || cannot "$reason"
    # Batch scripts find this environment. The nodes claim more cores than there are, so ranks may have to share them.
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 srcdir builddir
    export OMPI_MCA_hwloc_base_binding_policy=core:overload-allowed
    exec "$srcdir/tests/hosts/hosts" 2 env CPUS=4 "$srcdir/tests/slurm/cluster" sh "$0"
}
[ -n "${SLURM_CONF-}" ] || started_here

# Slurm keeps what a job prints in a file of the node on which its script runs.
work=/mnt/slurm/work
mkdir -p $work
submit() { sbatch --parsable --output="$work/out" "$@" > "$work/id"; }
shown() { cat "$work/out"; return 1; }

# batch SCRIPT PROGRAM: a job that ends by itself, with what it printed in $work/out.
batch() {
    rm -f $work/out
    submit --wait "$scripts/$1" "$2" || shown
}
says_hello() { batch "$1" examples/hello/hello && [ "$(grep -c ': hello rank' $work/out)" -eq 4 ] || shown; }
two_nodes() { batch "$1" tools/rref-info && grep -q '^  ranks  *4 on 2 nodes$' $work/out || shown; }

# begin SCRIPT OPTIONS: a job that works.
begin() {
    script=$1
    shift
    rm -f $work/out
    submit "$@" "$scripts/$script" examples/slurm/until || return
    tries=0
    until grep -qs '^until: working' $work/out; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || shown || return
        sleep 0.1
    done
}

# ends STATE SIGNAL: the job is over, as Slurm says; the program said which signal it was and that nothing is lost.
ends() {
    tries=0
    over='JobState=(COMPLETED|CANCELLED|FAILED|TIMEOUT)'
    until scontrol show job "$(cat $work/id)" > $work/job && grep -qE "$over" $work/job; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || { cat $work/job; shown; return; }
        sleep 0.1
    done
    grep -q "JobState=$1 " $work/job || { cat $work/job; shown; return; }
    grep -qx "until: stopped by signal $2, all steps are saved" $work/out || shown
}
for signal in $(seq 31); do
    case $(kill -l "$signal") in USR1) usr1=$signal ;; TERM) term=$signal ;; esac
done

near_the_limit() { begin limit.sbatch --time=1 --signal=USR1@50 && ends COMPLETED "$usr1"; }
cancelled() { begin "$1" --time=10 && scancel "$(cat $work/id)" && ends CANCELLED "$term"; }

for script in mpirun.sbatch srun.sbatch; do
    must "$script: hello from four ranks" says_hello $script
    must "$script: two nodes" two_nodes $script
done
must "limit.sbatch: stops in order before its time is over" near_the_limit
for script in mpirun.sbatch limit.sbatch; do
    must "$script: stops in order when it is cancelled" cancelled $script
done
finish
