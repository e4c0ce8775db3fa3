#!/bin/sh
# Makes the table as `server create-table` would, once the emulator answers. LocalStack runs this file as it
# is, MiniStack by `sh`: nothing here is bash. It may run again: a table that is there stays as it is.
# The region is AWS_DEFAULT_REGION, the server's has to be the same.
set -eu

definition=$(dirname "$0")/table.json
name=${TABLE_NAME:-notifications}

if awslocal dynamodb describe-table --table-name "$name" >/dev/null 2>&1; then
  echo "the table $name is there"
  exit 0
fi
awslocal dynamodb create-table --table-name "$name" --cli-input-json "file://$definition" >/dev/null
awslocal dynamodb wait table-exists --table-name "$name"
awslocal dynamodb update-time-to-live --table-name "$name" \
  --time-to-live-specification Enabled=true,AttributeName=ttl >/dev/null
echo "the table $name was made"
