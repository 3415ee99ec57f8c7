from app import ask, ask_async
from django.http import HttpResponse
from django.urls import path


def weather(request):
    return HttpResponse(ask(request.GET["place"]))


async def weather_async(request):
    return HttpResponse(await ask_async(request.GET["place"]))


urlpatterns = [path("weather", weather), path("weather-async", weather_async)]
