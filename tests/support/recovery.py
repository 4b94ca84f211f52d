"""The program fixtures.tools.recovery, called as an operator calls it, for the database and the bucket of a stack."""

import contextlib
import os
import secrets
import subprocess
import sys

import psycopg2
from botocore.exceptions import ClientError

from fixtures.clients.s3 import open_s3_client
from fixtures.core.files import ROOT


class Deployment:
    """A stack whose database and bucket are backed up, and the program that does it."""

    def __init__(self, stack, scratch):
        self.stack, self.scratch, self.client = stack, scratch, open_s3_client(stack.s3)
        self.bucket, self.uri = stack.s3.name, stack.db_uri.replace("+psycopg2", "")
        self.folder = scratch / "backup"
        self.made = []

    def environ(self, **changed):
        s3 = self.stack.s3
        given = {
            "READINESS_DB_URI": self.stack.db_uri,
            "READINESS_S3_ENDPOINT": s3.endpoint,
            "READINESS_S3_BUCKET": s3.name,
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        }
        return {"PATH": os.environ["PATH"], "HOME": str(self.scratch), "TMPDIR": str(self.scratch)} | given | changed

    def begin(self, *words, **options):
        """The program, begun; what it says goes to a pipe."""
        changed = options.pop("env", {})
        argv = [sys.executable, "-m", "fixtures.tools.recovery", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(argv, cwd=ROOT, env=self.environ(**changed), **pipes, **options)

    def run(self, *words, **options):
        """(code, what it said, none of which is a secret)."""
        process = self.begin(*words, **options)
        out, _ = process.communicate(timeout=200)
        assert not [secret for secret in self.stack.secrets if secret in out]
        assert "Traceback" not in out, out
        return process.returncode, out

    def target(self):
        """Words that name a database and a bucket which are not there."""
        name = f"restored-{secrets.token_hex(4)}"
        self.made.append(name)
        return "--database", name, "--s3-bucket", name

    def restored_uri(self, name):
        return self.uri.rpartition("/")[0] + f"/{name}"

    def databases(self):
        return {name for (name,) in self.execute("SELECT datname FROM pg_database")}

    def buckets(self):
        return {bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]}

    def execute(self, statement):
        with contextlib.closing(psycopg2.connect(self.uri)) as link:
            link.autocommit = True
            with link.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def clear(self):
        for name in self.made:
            self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            with contextlib.suppress(ClientError):
                for item in self.client.list_objects_v2(Bucket=name).get("Contents", []):
                    self.client.delete_object(Bucket=name, Key=item["Key"])
                self.client.delete_bucket(Bucket=name)
