from store.scratch import scratch


def test_memory_is_used_again_but_never_twice_at_once():
    with scratch(100) as first, scratch(50) as second:
        first[:] = 1
        second[:] = 2
        assert (first == 1).all()
        address = second.ctypes.data, first.ctypes.data
    with scratch(80) as again:
        assert again.size == 80
        assert again.ctypes.data in address
