# SPDX-License-Identifier: BSD-3-Clause
# The example kmer: every count against jellyfish, on real data and on small files with all that formats allow; and one
# clear error, on all ranks alike, for what cannot be counted. $KMER is another program to test.
# Time limit: 300 s
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
. "$srcdir/tests/lint/lint.sh"

run=$srcdir/tests/run.sh
kmer=${KMER:-$builddir/examples/kmer/kmer}
[ -x "$kmer" ] || { skip "examples/kmer is not built"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export LC_ALL=C

by_jellyfish=yes
command -v jellyfish > "$work/which" || { by_jellyfish=; skip "jellyfish is not installed"; }

# ---- counts ----------------------------------------------------------------------------------------------------------
# jellyfish K FILE > sorted counts. It does not read gzip.
expected() {
    case $2 in *.gz) zcat "$2" ;; *) cat "$2" ;; esac |
        jellyfish count -C -m "$1" -s 5M -t 2 -o "$work/jf" /dev/fd/0 && jellyfish dump -c "$work/jf" | sort -S 500M
}

# counts RANKS EXPECTED FILE OPTIONS...: a case; kmer's own check against its serial count is part of it.
counts() {
    ranks=$1 expected=$2 file=$3
    shift 3
    what="$(basename "$file") on $ranks${*:+ }$*"
    if ! "$run" -n "$ranks" "$kmer" --dump "$work/dump" "$@" "$file" > "$work/out" 2>&1; then
        bad "$what: exit status" && head -n 20 "$work/out"
    elif ! grep -q '^all counts as in the serial count$' "$work/out"; then
        bad "$what: not compared with the serial count" && head -n 20 "$work/out"
    elif ! sort -S 500M "$work/dump" | cmp -s - "$expected"; then
        bad "$what: other counts than expected"
        sort "$work/dump" | diff - "$expected" | head -n 10
    else
        ok "$what"
    fi
}

# quick RANKS FILE OPTIONS...: the same without a dump; a large one takes longer to compare than to count.
quick() {
    ranks=$1 file=$2
    shift 2
    must "$(basename "$file") on $ranks${*:+ }$*" "$run" -n "$ranks" "$kmer" "$@" "$file"
}

genome=$(sh "$srcdir/tests/data.sh" genome) || { genome=; skip "no genome"; }
reads=$(sh "$srcdir/tests/data.sh" reads) || { reads=; skip "no reads"; }

if [ -n "$genome" ]; then
    quick 8 "$genome"
    if [ -n "$by_jellyfish" ]; then
        expected 21 "$genome" > "$work/genome"
        counts 2 "$work/genome" "$genome"
    fi
fi

if [ -n "$reads" ] && [ -n "$by_jellyfish" ]; then
    expected 21 "$reads" > "$work/reads"
    # RREF_TEST_FULL is set by check-all.
    for ranks in 3 ${RREF_TEST_FULL:+1 2 8}; do counts $ranks "$work/reads" "$reads"; done
    for ranks in 2 ${RREF_TEST_FULL:+1 3 8}; do counts $ranks "$work/reads" "$reads" --batch 64 --raw; done
    for k in ${RREF_TEST_FULL:+1 2 16 31}; do
        expected $k "$reads" > "$work/reads-$k"
        counts 3 "$work/reads-$k" "$reads" --batch 1000 -k $k
    done
    if [ -n "${RREF_TEST_FULL-}" ]; then
        zcat "$reads" > "$work/reads.fq"
        counts 2 "$work/reads" "$work/reads.fq"
    fi
fi

# ---- formats, counted by hand ----------------------------------------------------------------------------------------
# Overlaps of lines and of ranks, letters that are no bases, lower case, records that must not run together.
cd "$work" || exit 1
printf 'AAC 1\nACA 1\nACG 2\nATC 1\nCAA 1\nGAA 1\n' > three
printf '>one\nACgTT\nGT\n>two\nACNATC\n\n>three\nttc\n' > plain.fa
sed 's/$/\r/' plain.fa > crlf.fa
printf '%s' "$(cat plain.fa)" > no-newline.fa
gzip -c plain.fa > plain.fa.gz
{ printf '>one\nACgTT\nGT\n' | gzip; printf '>two\nACNATC\n\n>three\nttc\n' | gzip; } > members.fa.gz
printf '@one\nACgTTGT\n+\n@+@+@@@\n@two\nACNATC\n+two\n@@@@@@\n@none\n\n+\n\n@three\nttc\n+\n+++' > plain.fq
printf '@one\nACgT\nTGT\n+\n@+@+\n@@@\n@two\nACNATC\n+two\n@@@@@@\n@three\nttc\n+\n+++\n\n' > lines.fq
sed 's/$/\r/' plain.fq > crlf.fq
for file in plain.fa crlf.fa no-newline.fa plain.fa.gz members.fa.gz plain.fq lines.fq crlf.fq; do
    counts 2 three $file -k 3
done
for ranks in 3 8; do counts $ranks three plain.fa -k 3; done
counts 3 three plain.fa -k 3 --batch 1000
if [ -n "$by_jellyfish" ]; then
    must "jellyfish agrees with the counts by hand" sh -c 'jellyfish count -C -m 3 -s 1M -o jf plain.fa &&
        jellyfish dump -c jf | sort | cmp - three'
fi

"$run" -n 3 "$kmer" -k 3 --top 1 plain.fa > out 2>&1
none "the most frequent" "$(grep -q '^ *2 ACG$' out || cat out)"
none "only as many as asked for" "$(grep '^ *1 [ACGT]*$' out)"
"$run" -n 2 "$kmer" --raw -k 3 plain.fa > out 2>&1
none "ratio to plain MPI" "$(grep -q '^RRef / MPI [0-9.]*$' out || cat out)"

"$run" -n 0 "$kmer" -k 3 plain.fa > /dev/full 2> err
status=$?
none "a full disk" "$([ $status -eq 1 ] && grep -q '^kmer: standard output: ' err || { echo "exit status $status"; cat err; })"

# ---- what cannot be counted ------------------------------------------------------------------------------------------
# refused RANKS STATUS TEXT ARGUMENTS...: one line of kmer's own, with the text in it, and nothing counted. On 0 ranks it
# runs without mpirun, which may take its time to end a job that failed.
refused() {
    ranks=$1 status=$2 text=$3
    shift 3
    "$run" -n "$ranks" -t 20 "$kmer" "$@" > out 2> err
    got=$?
    if [ $got -eq "$status" ] && [ ! -s out ] && [ "$(grep -c '^kmer: ' err)" -eq 1 ] && grep -q "$text" err; then
        ok "refused on $ranks: $*"
    else
        bad "refused on $ranks: $* (exit status $got)"
        head -n 10 out err
    fi
}

: > empty.fa
printf '\n\n' > blank.fa
mkdir folder
head -c 60 plain.fa.gz > cut.fa.gz
[ -z "$genome" ] || head -c 300000 "$genome" > cut-genome.fa.gz
printf '\037\213\010\000broken and nothing else but that, over and over' > broken.fa.gz
printf 'a story of no sequence\n' > story.txt
head -c 5000 "$run" > script
printf '\177ELF\002\001\001\000\000' > program
printf '>x\nACGT\000ACGT\n' > zero.fa
printf '@x\nACGT\n+\n@@@@\n>y\nACGT\n' > mixed.fq
printf '>x\nACGT7ACGT\n' > digit.fa
printf '>x\nACGTNNNNACG\n' > short.fa
printf '>only names\n>and more names\n' > names.fa
printf '@x\nACGTACGT\n+\n@@@\n' > few.fq
printf '@x\nACGTACGT\n+\n@@@@@@@@@@\n@y\nACGT\n+\n@@@@\n' > many.fq
printf '@x\nACGTACGT\n' > half.fq

for ranks in 0 1 3; do refused $ranks 1 'missing.fa: No such file' missing.fa; done
for ranks in 0 3; do
    refused $ranks 1 'empty.fa: the file is empty' empty.fa
    [ -z "$genome" ] || refused $ranks 1 'ends too early' cut-genome.fa.gz
    refused $ranks 1 'neither FASTA nor FASTQ' story.txt
    refused $ranks 1 'no 21-mer in it' names.fa
    refused $ranks 2 'k is a number from 1 to 31' -k 32 plain.fa
done
refused 0 1 'folder: Is a directory' folder
refused 0 1 'blank.fa: the file is empty' blank.fa
refused 0 1 'ends too early' cut.fa.gz
refused 0 1 'broken compressed data' broken.fa.gz
refused 0 1 'neither FASTA nor FASTQ' script
refused 0 1 'neither FASTA nor FASTQ' program
refused 0 1 'line 2: byte 0x00' zero.fa
refused 0 1 "line 2: '7'" digit.fa
refused 0 1 "line 5: '>' where the next record" mixed.fq
refused 0 1 'no 5-mer in it' -k 5 short.fa
refused 0 1 'fewer quality values' few.fq
refused 0 1 "line 4: '@' is one quality value too many" many.fq
refused 0 1 'no quality values' half.fq
refused 0 1 'no/such/folder/dump: No such file' -k 3 --dump no/such/folder/dump plain.fa

refused 0 2 'k is a number from 1 to 31' -k 0 plain.fa
refused 0 2 "not '2x'" --batch 2x plain.fa
refused 0 2 'which file' --raw
refused 0 2 'one file' plain.fa plain.fa
must "--help" sh -c '"$1" -n 3 "$2" --help | grep -c "^usage:" | grep -qx 1' sh "$run" "$kmer"
finish
