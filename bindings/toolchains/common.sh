# Where the toolchains of the bindings' tests are kept: outside the tree, shared by every work tree of the machine.
# Sourced by the scripts beside it.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/voelgoed-scan
mkdir -p "$cache"

say() {
    echo "${0#"$root/"}: $*" >&2
}

fail() {
    say "$*"
    exit 1
}

# Runs a command as root, through sudo where that is needed.
as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        fail "neither root nor sudo here, and this has to be run by root: $*"
    fi
}

# Makes the folder $1 by calling `make_FUNCTION WORK`, where WORK becomes $1 once it is whole. Two runs at once make it
# once, and a run that was killed leaves nothing that looks whole.
make_once() {
    local folder=$1 make=$2 work
    [[ ! -e $folder/.whole ]] || return 0
    (
        flock 9
        [[ ! -e $folder/.whole ]] || exit 0
        work=$folder.part
        as_root rm -rf --one-file-system -- "$folder" "$work"
        "$make" "$work"
        as_root mv -- "$work" "$folder"
        as_root touch -- "$folder/.whole"
    ) 9>"$folder.lock"
}
