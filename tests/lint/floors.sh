# SPDX-License-Identifier: BSD-3-Clause
# The floors of src/ (tests/lint/floors) hold, and what uses the public interface uses nothing else.
. "$(dirname "$0")/lint.sh"
cd "$srcdir" || exit 1
table=tests/lint/floors

homeless= climbing=
for file in src/*.[ch]; do
    noun=$(basename "${file%.[ch]}")
    [ "$noun" != visible ] || continue
    bareless=$(sed -n 's/^ *# *include *"\([^"]*\)\.h".*/\1/p' "$file")
    # shellcheck disable=SC2086  # one word each
    answer=$(awk -v file="$file" -v noun="$noun" -v list="$(echo $bareless)" '
        $1 == "floor" { for (i = 3; i <= NF; i++) floor[$i] = $2 }
        END {
            if (!(noun in floor)) { print "homeless " file; exit }
            n = split(list, header, " ")
            for (i = 1; i <= n; i++)
                if (!(header[i] in floor)) print "climbing " file ": " header[i] ".h is on no floor"
                else if (floor[header[i]] > floor[noun])
                    print "climbing " file ": floor " floor[noun] " includes " header[i] ".h of floor " floor[header[i]]
        }' "$table")
    homeless=$homeless$(printf '%s\n' "$answer" | sed -n 's/^homeless \(.*\)/\1 /p')
    climbing=$climbing$(printf '%s\n' "$answer" | sed -n 's/^climbing \(.*\)/\1; /p')
done
none "every source stands on a floor" "$homeless"
none "no source includes a higher floor" "$climbing"

for prefix in $(awk '$1 == "spell" { print $2 }' "$table"); do
    users=$(awk -v prefix="$prefix" '$1 == "spell" && $2 == prefix { for (i = 3; i <= NF; i++) printf " %s ", $i }' "$table")
    strangers=
    for file in src/*.[ch]; do
        case $users in *" $(basename "${file%.[ch]}") "*) continue ;; esac
        found=$(bare "$file" | grep -noE "(^|[^A-Za-z0-9_])$prefix[A-Za-z0-9_]*" | head -n 3 | tr -d ' \n')
        [ -z "$found" ] || strangers="$strangers$file:$found "
    done
    none "$prefix... only in:$users" "$strangers"
done

none "what is so in one MPI only is in host.c" \
    "$(grep -nE 'OMPI_|OPAL_|ORTE_|PMIX_|MPICH|MPIX_|HYDRA' src/*.[ch] | grep -v '^src/host\.')"

# Whoever is outside includes system headers, rref.h, the tests' frame, and files beside itself.
intruders=$(find examples tools tests/mpi tests/header -name '*.[ch]' -o -name '*.cpp' | while read -r file; do
    sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file" | while read -r header; do
        [ -f "$(dirname "$file")/$header" ] || [ "$header" = check.h ] || [ "$header" = config.h ] || echo "$file: $header"
    done
done)
none "examples, tools and MPI tests see the public header only" "$intruders"
internal=$(find examples tools tests/mpi tests/header -type f \( -name '*.[ch]' -o -name '*.cpp' -o -name '*.f90' \) \
    -exec grep -nE '\brri_|\bRRI_' {} +)
none "examples, tools and MPI tests use no internal name" "$internal"
finish
