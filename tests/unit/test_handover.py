"""A stack on its way to the workers and to the next run."""

from dataclasses import replace

from fixtures.stack import Bucket, Stack

STACK = Stack(
    backend="embedded",
    ours=True,
    mlflow_uri="http://127.0.0.1:5000",
    db_uri="postgresql://u:planted@127.0.0.1/d",
    s3=Bucket("http://127.0.0.1:9000", "mlflow", "artifacts", "key", "secret", region="us-east-1"),
    public_urls=("http://a", "http://b"),
    capabilities=frozenset({"sql", "s3"}),
    versions={"mlflow": "3.17.2"},
    facts={"durability": "none"},
    differs=("A=1",),
    workers=2,
    pool=55,
    logs={"mlflow": "/tmp/x.log"},
    steps=(("postgres", 1.5),),
)


def test_a_stack_arrives_as_it_was(tmp_path):
    STACK.save(tmp_path / "stack.json")
    assert Stack.load(tmp_path / "stack.json") == STACK


def test_a_stack_without_doors_arrives_too(tmp_path):
    bare = Stack("external", False, "http://h")
    bare.save(tmp_path / "stack.json")
    assert Stack.load(tmp_path / "stack.json") == bare


def test_bytes_that_are_no_text_arrive_too(tmp_path):
    """A folder's name or a password in the environment need not be UTF-8."""
    odd = replace(STACK, db_uri="postgresql://u:p\udce9@h/d", logs={"mlflow": "/tmp/\udce9.log"})
    odd.save(tmp_path / "stack.json")
    assert Stack.load(tmp_path / "stack.json") == odd


def test_it_is_readable_by_its_owner_only(tmp_path):
    STACK.save(tmp_path / "stack.json")
    assert (tmp_path / "stack.json").stat().st_mode & 0o077 == 0
    assert [f.name for f in tmp_path.iterdir()] == ["stack.json"]


def test_its_secrets_are_known_and_not_shown():
    assert set(STACK.secrets) == {"planted", "secret", "key"}
    assert "planted" not in repr(STACK)
    assert "'secret'" not in repr(STACK)
