pytest_plugins = ["pytester", "local_provider"]
