#!/bin/sh
# Chromium for the browser tests, from Debian's own packages. Where that cannot be, one line says so and they skip.
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "No chromium here: the browser tests will skip. On Debian, as root: apt-get install chromium"
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 ||
	echo "apt-get could not install chromium: the browser tests will skip."
