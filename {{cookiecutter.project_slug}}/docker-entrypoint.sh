#!/bin/sh
# Waits for the dependencies and migrates if DJANGO_MANAGEPY_MIGRATE says so, then becomes the command.
set -eu

case "${DJANGO_MANAGEPY_MIGRATE:-off}" in
on | true | yes | 1)
    python manage.py check_dependencies --startup
    python manage.py migrate --no-input
    ;;
esac

exec "$@"
