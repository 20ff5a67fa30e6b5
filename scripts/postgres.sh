#!/bin/sh
# A throw-away PostgreSQL server for the catalog's suite. It installs nothing: the
# binaries are those of the distribution's package.
#
#   postgres.sh start DIR   makes a cluster in DIR (empty or absent), starts it on a
#                           free loopback port and prints its DSN
#   postgres.sh stop DIR    stops it; DIR is left to the caller
#
# PostgreSQL refuses to run as root: then it runs as the user "postgres".
set -eu

die() { echo "postgres.sh: $*" >&2; exit 1; }

[ $# -eq 2 ] || die "usage: postgres.sh start|stop DIR"
action=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)

bin=
for candidate in /usr/lib/postgresql/*/bin; do
	[ -x "$candidate/initdb" ] && bin=$candidate # the last one is the newest
done
[ -n "$bin" ] || die "no PostgreSQL under /usr/lib/postgresql; on Debian: apt-get install postgresql"

as_user() {
	if [ "$(id -u)" -eq 0 ]; then
		(cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups env -i PATH="$PATH" LC_ALL=C.UTF-8 "$@")
	else
		"$@"
	fi
}

case $action in
start)
	[ ! -e "$dir/data" ] || die "$dir holds a cluster already"
	if [ "$(id -u)" -eq 0 ]; then
		id postgres >/dev/null 2>&1 || die "there is no user postgres to run as"
		chown postgres "$dir"
	fi
	as_user "$bin/initdb" --pgdata "$dir/data" --username packhouse --auth trust --encoding UTF8 --no-locale >"$dir/initdb.log" 2>&1 ||
		die "initdb: $(tail -n 3 "$dir/initdb.log")"
	attempt=0
	while :; do
		attempt=$((attempt + 1))
		port=$((20000 + ($$ * 7 + attempt * 131) % 20000))
		options="-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='' -c max_connections=200"
		if as_user "$bin/pg_ctl" --pgdata "$dir/data" --log "$dir/data/server.log" --wait --timeout 30 --options "$options" start >/dev/null 2>&1; then
			break
		fi
		[ "$attempt" -lt 10 ] || die "no start: $(tail -n 3 "$dir/data/server.log")" # a port in use, ten times
	done
	echo "postgres://packhouse@127.0.0.1:$port/postgres?sslmode=disable"
	;;
stop)
	as_user "$bin/pg_ctl" --pgdata "$dir/data" --wait --mode fast stop >/dev/null || die "no stop"
	;;
*)
	die "unknown action $action"
	;;
esac
