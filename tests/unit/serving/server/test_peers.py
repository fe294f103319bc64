from serving.server.peers import merged
from serving.server.policy import State
from serving.server.versions import VersionStatus


def status(version, state, message=""):
    return VersionStatus(version, int(state), 2 if message else 0, message)


def test_a_version_when_not_every_process_has_it_then_is_not_available():
    one = [status(2, State.AVAILABLE), status(1, State.AVAILABLE)]
    other = [status(2, State.LOADING), status(1, State.AVAILABLE)]
    assert merged([one, other]) == [status(2, State.LOADING), status(1, State.AVAILABLE)]


def test_a_version_when_a_process_does_not_know_it_yet_then_is_at_its_start():
    assert merged([[status(1, State.AVAILABLE)], []]) == [status(1, State.START)]


def test_a_version_when_it_failed_in_one_process_then_its_error_is_told():
    failed = status(1, State.END, "no")
    assert merged([[status(1, State.AVAILABLE)], [failed]]) == [failed]


def test_a_version_when_it_ended_before_a_process_began_then_has_ended():
    assert merged([[status(1, State.END)], []]) == [status(1, State.END)]
