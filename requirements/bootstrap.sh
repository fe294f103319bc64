#!/bin/sh
# Makes .venv from the locks: `sh requirements/bootstrap.sh run`, or `dev` with what tests need.
# `bench` puts what benchmarks compare with into build/bench-packages, for use on top of .venv.
# `kfp` makes an environment of its own, .venv-kfp: a current kfp and TFX do not go together.
# `airflow` makes an environment of its own, .venv-airflow: Airflow and TFX do not go together.
set -eu

kind=${1:-run}
cd "$(dirname "$0")/.."
uv_home=build/uv
# These would lead the installers, or the new environment, to packages from elsewhere.
unset PYTHONPATH PYTHONHOME PIP_USER

say() { printf '%s\n' "$*" >&2; }

is_310() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1; }

# Prints a Python 3.10, from PATH or from pyenv; nothing if there is none.
find_310() {
    for candidate in python3.10 python3 python \
        "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.10*/bin/python; do
        if is_310 "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
}

# Prints a uv: the one on PATH, else one installed beside the build from the lock.
find_uv() {
    if command -v uv; then return; fi
    for candidate in "$1" python3; do
        if [ -x $uv_home/bin/uv ]; then break; fi
        if [ -n "$candidate" ] && "$candidate" -m venv --clear $uv_home >&2; then
            $uv_home/bin/python -m pip install -q --disable-pip-version-check --require-hashes \
                -r requirements/uv.txt >&2 || say "$candidate could not install uv."
        fi
    done
    if [ -x $uv_home/bin/uv ]; then echo $uv_home/bin/uv; fi
}

python=$(find_310)
uv=$(find_uv "$python")
if [ -z "$uv" ]; then
    say "error: found no uv, and no Python with the venv module that could install it."
    say "Install one of: Python 3.10 (Debian: python3.10 and python3.10-venv; or pyenv install 3.10),"
    say "or uv, which brings a Python of its own. Then run make again."
    exit 1
fi
if [ "$kind" = bench ]; then
    rm -rf build/bench-packages
    # Without dependencies: .venv has those that are used, and it must not change.
    exec "$uv" pip install -q --python .venv/bin/python --target build/bench-packages --no-deps \
        --require-hashes -r requirements/bench.txt
fi
if [ -z "$python" ]; then
    say "No Python 3.10 on PATH or in pyenv: asking uv for its own."
    if ! "$uv" python install -q 3.10; then
        say "error: TFX 1.16 needs Python 3.10, and uv could not fetch one."
        say "Install it (Debian: python3.10 and python3.10-venv; or pyenv install 3.10) and run make again."
        exit 1
    fi
    python=3.10
fi
if [ "$kind" = kfp ]; then
    is_310 .venv-kfp/bin/python || "$uv" venv -q --clear --python "$python" .venv-kfp
    say "Installing the locked packages into .venv-kfp (80 MB) ..."
    exec "$uv" pip sync -q --python .venv-kfp/bin/python --require-hashes --compile-bytecode \
        requirements/kfp.txt
fi
if [ "$kind" = airflow ]; then
    is_310 .venv-airflow/bin/python || "$uv" venv -q --clear --python "$python" .venv-airflow
    say "Installing the locked packages into .venv-airflow (250 MB) ..."
    exec "$uv" pip sync -q --python .venv-airflow/bin/python --require-hashes --compile-bytecode \
        requirements/airflow.txt
fi

locks=requirements/tfx-1.16.txt
if [ "$kind" = dev ] || [ -e .venv/.dev-stamp ]; then locks="$locks requirements/dev.txt"; fi
is_310 .venv/bin/python || "$uv" venv -q --clear --seed --python "$python" .venv
say "Installing the locked packages into .venv (3 GB; some minutes the first time) ..."
# Compiled now: where bytecode is not kept, importing TFX would take a minute each time.
# shellcheck disable=SC2086
"$uv" pip sync -q --python .venv/bin/python --require-hashes --compile-bytecode $locks
"$uv" pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
