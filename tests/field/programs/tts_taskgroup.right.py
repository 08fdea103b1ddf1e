# https://github.com/daswer123/xtts-api-server/issues/97

import asyncio

import numpy as np
import torch

torch.manual_seed(0)


class Xtts(torch.nn.Module):
    decoder = torch.nn.Linear(1, 6)

    @torch.no_grad()
    def inference(self, text):
        codes = torch.tensor([[ord(c) / 128] for c in text])
        return {"wav": torch.tanh(self.decoder(codes)).flatten(), "gpt_latents": codes}


class TTSWrapper:
    def __init__(self, model):
        self.model = model

    def speak(self, sentence):
        wav = self.model.inference(sentence)["wav"].cpu().numpy()
        return (wav * 32767).astype(np.int16).tobytes()

    async def stream(self, text, queue):
        for sentence in text.split(". "):
            await queue.put(self.speak(sentence))
        await queue.put(None)


async def send(queue, body):
    while (chunk := await queue.get()) is not None:
        body.append((len(chunk), round(float(np.frombuffer(chunk, np.int16).mean()), 2)))


async def streaming_response(tts, text):
    queue, body = asyncio.Queue(), []
    async with asyncio.TaskGroup() as task_group:
        task_group.create_task(tts.stream(text, queue))
        task_group.create_task(send(queue, body))
    return body


print(asyncio.run(streaming_response(TTSWrapper(Xtts()), "Good morning. How are you")))
