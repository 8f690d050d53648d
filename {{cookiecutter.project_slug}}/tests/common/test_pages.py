"""Pages for errors need nothing that may be broken."""

import re

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError


urlpatterns = [path("fail", fail)]
handler500 = "apps.common.pages.server_error"


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("url", ["/fail", "/nowhere"])
def test_pages_for_errors_have_a_style_that_the_policy_allows(url: str) -> None:
    client = Client(raise_request_exception=False)

    response = client.get(url)

    nonce = re.search(r'<style nonce="([^"]+)">', response.text)
    assert response.status_code in {404, 500}
    assert nonce
    assert f"'nonce-{nonce[1]}'" in response.headers["Content-Security-Policy"]
