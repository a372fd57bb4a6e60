ExUnit.start(assert_receive_timeout: 10_000)
