"""Views that ask the model, through the test client and through a live server."""

import urllib.request

import pytest


@pytest.mark.cassette
def test_view(client):
    assert b"weather" in client.get("/weather", {"place": "Lima"}).content


@pytest.mark.cassette
def test_async_view(client):
    assert b"weather" in client.get("/weather-async", {"place": "Lima"}).content


@pytest.mark.django_db
@pytest.mark.cassette
def test_view_with_a_database(client, django_user_model):
    django_user_model.objects.create_user("someone")
    assert b"weather" in client.get("/weather", {"place": "Lima"}).content


@pytest.mark.cassette(ignore_hosts=["localhost"])
def test_live_server(live_server):
    with urllib.request.urlopen(f"{live_server.url}/weather?place=Lima") as response:
        assert b"weather" in response.read()
