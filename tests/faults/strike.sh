# SPDX-License-Identifier: BSD-3-Clause
# strike.sh SCENARIO [VICTIM]: run by tests/hosts/hosts where mpirun runs; tests/faults/ranks among the hosts, and what happens
# to them from outside.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
scenario=$1
out=$(mktemp) || exit 1
export RREF_PEER_TIMEOUT=60 RREF_MPIRUN_FLAGS="--enable-recovery --mca async_mpi_finalize 1"
case $scenario in suspect | return | cut-long | crash) RREF_PEER_TIMEOUT=1 ;; esac

"$here/run.sh" -n 4 -t 90 tests/faults/ranks "${scenario%-long}" "${2-1}" > "$out" 2>&1 &
run=$!
# Until the ranks say so, or are gone.
until_said() { while kill -0 $run 2> /dev/null && ! grep -q "$1" "$out"; do sleep 0.1; done; }

# mpirun may wait for what is gone for longer than anybody would: it is ended when so many ranks have said their last.
until_done() {
    tries=0
    while kill -0 $run 2> /dev/null && [ "$(grep -c ': as expected$' "$out")" -lt "$1" ] && [ $tries -lt 800 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    sleep 1
    kill $run 2> /dev/null
}

case $scenario in
    kill) until_done 3 ;;
    cut | cut-long)
        until_said ': traffic$'
        ip link set n2 down
        sleep 3
        ip link set n2 up ;;
    crash)
        until_said ': traffic$'
        ip link set n2 down
        kill -9 "$(cat /mnt/n2)"
        until_done 2 ;;
esac
wait $run
for host in n1 n2; do
    ls "/proc/$(cat /mnt/$host)/root/dev/shm" 2> /dev/null | grep '^rref-' && echo "WRONG: left in shared memory of $host"
done
cat "$out"
rm -f "$out"
