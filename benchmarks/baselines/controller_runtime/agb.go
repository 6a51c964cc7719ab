package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// AGB calls the remote API.
type AGB struct {
	endpoint, key string
	http          http.Client
}

// NewAGB keeps as many connections as there are workers.
func NewAGB(endpoint, key string, connections int) *AGB {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = connections
	return &AGB{endpoint: endpoint, key: key, http: http.Client{Transport: transport, Timeout: 60 * time.Second}}
}

// Status looks at a session.
func (a *AGB) Status(ctx context.Context, id string) (string, error) {
	var answer struct {
		Data struct {
			Status string `json:"status"`
		} `json:"data"`
	}
	err := a.call(ctx, "getSession", id, &answer)
	return answer.Data.Status, err
}

// Pause asks for a pause.
func (a *AGB) Pause(ctx context.Context, id string) error {
	return a.call(ctx, "pauseSessionAsync", id, &struct{}{})
}

// Resume asks for a resume.
func (a *AGB) Resume(ctx context.Context, id string) error {
	return a.call(ctx, "resumeSessionAsync", id, &struct{}{})
}

func (a *AGB) call(ctx context.Context, name, id string, answer any) error {
	body, err := json.Marshal(map[string]string{"sessionId": id})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint+"/mcp/"+name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+a.key)
	request.Header.Set("Content-Type", "application/json")
	response, err := a.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: HTTP %d", name, response.StatusCode)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
