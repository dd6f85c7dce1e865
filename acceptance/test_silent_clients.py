"""Clients that begin and say no more, while all the other scenarios run."""


def test_a_client_that_stops_in_the_middle_is_hung_up_on(node):
    for connection in node.half_requests:
        answer = connection.response()
        assert answer is None or answer[0] in (400, 408), answer
        assert connection.is_closed()
        connection.socket.close()
