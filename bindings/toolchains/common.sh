# Paths and functions of the scripts in this folder and in bindings/. The toolchains are cached outside the tree, for all
# work trees of the machine.
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

# Runs a command as root, with sudo if necessary.
as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        fail "this command needs root, and there is no sudo: $*"
    fi
}

# Creates the folder $1 with the function $2, which gets a temporary folder that becomes $1 when it is complete. Two
# concurrent runs create it once. A run that is killed leaves nothing that looks complete.
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
