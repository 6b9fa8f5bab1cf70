# Print a Python that Assay can run on: $1 if it is new enough, else the newest there is. Says what is missing otherwise.
# Each is asked for its version: a name on the PATH may be a placeholder that runs nothing.

fits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' > /dev/null 2>&1
}

for candidate in "$1" python3.14 python3.13 python3.12 python3.11; do
    if fits "$candidate"; then
        echo "$candidate"
        exit 0
    fi
done

found=$("$1" --version 2>&1) || found="no $1 that runs"
echo "Assay needs Python 3.11 or newer; here is $found." >&2
echo "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python), or name one:" >&2
echo "    make PYTHON=/path/to/python3.12 run" >&2
exit 1
