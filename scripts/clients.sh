#!/usr/bin/env bash
# Installs the clients that the end-to-end tests drive, pinned, below .tools/, and what is
# missing of AWS CLI v2, PostgreSQL, curl, openssl and strace from Debian. Running it again
# costs nothing.
#
#   scripts/clients.sh         install what is missing
#   scripts/clients.sh bench   install what `make bench` compares with: Node 22, Verdaccio, nginx
#   eval "$(scripts/clients.sh env)"   print the variables that tell the tests where
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/versions.env
tools="$PWD/.tools"

# Packages that hold a program of the machine's own, named as their makers name it.
case "$(uname -m)" in
  x86_64) node_arch=x64 bun_package=@oven/bun-linux-x64-baseline ;;
  aarch64) node_arch=arm64 bun_package=@oven/bun-linux-aarch64 ;;
  *) echo "clients: no pinned clients for $(uname -m)" >&2; exit 1 ;;
esac

aws="$tools/aws-$AWSCLI_VERSION/bin/aws"
npm8="$tools/npm-$NPM_8_VERSION/node_modules/.bin/npm"
npm10="$tools/npm-$NPM_10_VERSION/node_modules/.bin/npm"
npm_current="$tools/npm-$NPM_CURRENT_VERSION/node_modules/.bin/npm"
pnpm10="$tools/pnpm-$PNPM_10_VERSION/node_modules/.bin/pnpm"
pnpm12="$tools/pnpm-$PNPM_12_VERSION/node_modules/@pnpm/exe.linux-$node_arch/pnpm"
yarn1="$tools/yarn-$YARN_1_VERSION/node_modules/.bin/yarn"
yarn4="$tools/yarn-$YARN_4_VERSION/node_modules/.bin/yarn"
bun="$tools/bun-$BUN_VERSION/node_modules/$bun_package/bin/bun"
python="$tools/python-$BOTO3_VERSION-$SCHEMATHESIS_VERSION/bin/python"
sdk_js="$tools/aws-sdk-js-$AWS_SDK_JS_VERSION/node_modules"
node22="$tools/node-$NODE_22_VERSION/node_modules/node-linux-$node_arch/bin/node"
verdaccio="$tools/verdaccio-$VERDACCIO_VERSION/node_modules/.bin/verdaccio"

say() { printf 'clients: %s\n' "$*" >&2; }

install_aws() {
  [ -x "$aws" ] && return
  local dir="$tools/aws-$AWSCLI_VERSION"
  say "AWS CLI $AWSCLI_VERSION"
  rm -rf "$dir"
  python3 -m venv "$dir"
  "$dir/bin/pip" install --quiet --disable-pip-version-check "awscli==$AWSCLI_VERSION"
}

# install_python installs boto3 and schemathesis into a folder of their own.
install_python() {
  [ -x "$(dirname "$python")/schemathesis" ] && return
  local dir="${python%/bin/python}"
  say "boto3 $BOTO3_VERSION, schemathesis $SCHEMATHESIS_VERSION"
  rm -rf "$dir"
  python3 -m venv "$dir"
  "$dir/bin/pip" install --quiet --disable-pip-version-check "boto3==$BOTO3_VERSION" "schemathesis==$SCHEMATHESIS_VERSION"
}

# from_npm PROGRAM PACKAGE [OVERRIDES] installs a package so that its program is there,
# into a folder of its own. Scripts of packages do not run: nothing here needs one.
from_npm() {
  local program=$1 package=$2 overrides=${3:-}
  [ -e "$program" ] && return
  local dir="${program%%/node_modules/*}"
  say "$package"
  rm -rf "$dir"
  mkdir -p "$dir"
  printf '{"private":true,"overrides":{%s}}\n' "$overrides" >"$dir/package.json"
  npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix "$dir" "$package"
  [ -e "$program" ] || { say "$package has no $program"; return 1; }
}

# from_debian COMMAND=PACKAGE... installs the packages whose commands are missing. A
# command may be a pattern of paths.
from_debian() {
  local missing=() pair sudo=''
  for pair in "$@"; do
    compgen -G "${pair%%=*}" >/dev/null || command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} = 0 ] && return
  say "${missing[*]}"
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# aws_v2 prints the path of the machine's AWS CLI v2, which is not pinned: its makers
# publish no package of it that could be.
aws_v2() {
  local path
  for path in /usr/local/bin/aws /usr/bin/aws /snap/bin/aws; do
    if [ -x "$path" ] && [[ "$("$path" --version 2>/dev/null)" == aws-cli/2.* ]]; then
      echo "$path"
      return
    fi
  done
}

install_aws_v2() {
  [ -n "$(aws_v2)" ] && return
  from_debian /usr/bin/aws=awscli
  [ -n "$(aws_v2)" ] && return
  say "the package awscli of this distribution is no AWS CLI v2; install that as its makers describe"
  return 1
}

case "${1:-install}" in
  install)
    mkdir -p "$tools"
    install_aws
    install_python
    from_npm "$npm8" "npm@$NPM_8_VERSION"
    from_npm "$npm10" "npm@$NPM_10_VERSION"
    from_npm "$npm_current" "npm@$NPM_CURRENT_VERSION"
    from_npm "$pnpm10" "pnpm@$PNPM_10_VERSION"
    from_npm "$pnpm12" "@pnpm/exe.linux-$node_arch@$PNPM_12_VERSION"
    from_npm "$yarn1" "yarn@$YARN_1_VERSION"
    from_npm "$yarn4" "@yarnpkg/cli-dist@$YARN_4_VERSION"
    from_npm "$bun" "$bun_package@$BUN_VERSION"
    from_npm "$sdk_js/@aws-sdk/client-codeartifact/package.json" "@aws-sdk/client-codeartifact@$AWS_SDK_JS_VERSION"
    install_aws_v2
    from_debian '/usr/lib/postgresql/*/bin/initdb=postgresql' curl=curl openssl=openssl strace=strace
    ;;
  bench)
    mkdir -p "$tools"
    from_npm "$node22" "node-linux-$node_arch@$NODE_22_VERSION"
    # The pinned node-fetch is the one that Verdaccio's own dependencies work with.
    from_npm "$verdaccio" "verdaccio@$VERDACCIO_VERSION" '"node-fetch":"2.7.0"'
    from_debian /usr/sbin/nginx=nginx
    ;;
  env)
    printf 'export %s=%q\n' \
      PACKHOUSE_AWS "$aws" PACKHOUSE_AWS_V2 "$(aws_v2)" PACKHOUSE_PYTHON "$python" PACKHOUSE_SDK_JS "$sdk_js" \
      PACKHOUSE_NPM_8 "$npm8" PACKHOUSE_NPM_10 "$npm10" PACKHOUSE_NPM_CURRENT "$npm_current" \
      PACKHOUSE_PNPM_10 "$pnpm10" PACKHOUSE_PNPM_12 "$pnpm12" \
      PACKHOUSE_YARN_1 "$yarn1" PACKHOUSE_YARN_4 "$yarn4" PACKHOUSE_BUN "$bun" \
      PACKHOUSE_NODE22 "$node22" PACKHOUSE_VERDACCIO "$verdaccio"
    ;;
  *)
    say "usage: scripts/clients.sh [install|bench|env]"
    exit 2
    ;;
esac
