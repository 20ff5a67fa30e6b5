#!/usr/bin/env bash
# Installs the clients that the end-to-end tests drive, pinned, below .tools/, and what is
# missing of PostgreSQL, curl and openssl from Debian. Running it again costs nothing.
#
#   scripts/clients.sh         install what is missing
#   eval "$(scripts/clients.sh env)"   print the variables that tell the tests where
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/versions.env
tools="$PWD/.tools"

say() { printf 'clients: %s\n' "$*" >&2; }

install_aws() {
  local dir="$tools/aws-$AWSCLI_VERSION"
  [ -x "$dir/bin/aws" ] && return
  say "AWS CLI $AWSCLI_VERSION"
  rm -rf "$dir"
  python3 -m venv "$dir"
  "$dir/bin/pip" install --quiet --disable-pip-version-check "awscli==$AWSCLI_VERSION"
}

install_npm() {
  local dir="$tools/npm-$NPM_CURRENT_VERSION"
  [ -x "$dir/node_modules/.bin/npm" ] && return
  say "npm $NPM_CURRENT_VERSION"
  rm -rf "$dir"
  mkdir -p "$dir"
  npm install --silent --no-audit --no-fund --prefix "$dir" "npm@$NPM_CURRENT_VERSION"
}

# What the tests use of Debian: PostgreSQL, curl and openssl.
install_debian() {
  local missing=()
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
  command -v curl >/dev/null || missing+=(curl)
  command -v openssl >/dev/null || missing+=(openssl)
  [ ${#missing[@]} = 0 ] && return
  say "${missing[*]}"
  local sudo=''
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${missing[@]}" >/dev/null
}

case "${1:-install}" in
  install)
    mkdir -p "$tools"
    install_aws
    install_npm
    install_debian
    ;;
  env)
    printf 'export PACKHOUSE_AWS=%q\n' "$tools/aws-$AWSCLI_VERSION/bin/aws"
    printf 'export PACKHOUSE_NPM_CURRENT=%q\n' "$tools/npm-$NPM_CURRENT_VERSION/node_modules/.bin/npm"
    ;;
  *)
    say "usage: scripts/clients.sh [install|env]"
    exit 2
    ;;
esac
