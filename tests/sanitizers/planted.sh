# SPDX-License-Identifier: BSD-3-Clause
# Does the sanitizer of this build work at all? It must find a planted mistake of each kind, and nothing where nothing is.
. "$(dirname "$0")/../lint/lint.sh"

planted() { "$srcdir/tests/run.sh" -n 2 -t 60 "$builddir/tests/sanitizers/planted" "$1" 2>&1; }

# finds MISTAKE WORDS: the run fails, and says so.
finds() {
    if text=$(planted "$1"); then bad "$1: exit status 0"
    elif printf '%s\n' "$text" | grep -q "$2"; then ok "finds $1"
    else bad "$1: failed without \"$2\""; printf '%s\n' "$text" | head -n 20; fi
}

must "finds nothing in a clean program" planted nothing
case ,$SANITIZER, in *,address,*) finds leak LeakSanitizer; finds freed heap-use-after-free ;; esac
case ,$SANITIZER, in *,undefined,*) finds overflow "signed integer overflow" ;; esac
case ,$SANITIZER, in *,thread,*) finds race "ThreadSanitizer: data race" ;; esac
finish
