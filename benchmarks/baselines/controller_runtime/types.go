package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// AgbSession is the part of the resource that the baseline needs.
type AgbSession struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              Spec   `json:"spec"`
	Status            Status `json:"status,omitempty"`
}

// Spec is what is asked for.
type Spec struct {
	SessionID string `json:"sessionId"`
	Paused    bool   `json:"paused,omitempty"`
}

// Status is what was seen.
type Status struct {
	ObservedGeneration int64              `json:"observedGeneration"`
	Phase              string             `json:"phase,omitempty"`
	SessionID          string             `json:"sessionId,omitempty"`
	SessionStatus      string             `json:"sessionStatus,omitempty"`
	DesiredState       string             `json:"desiredState,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// AgbSessionList is a list of them.
type AgbSessionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AgbSession `json:"items"`
}

// DeepCopy copies all that can be changed through it.
func (s *AgbSession) DeepCopy() *AgbSession {
	out := *s
	s.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status.Conditions = append([]metav1.Condition(nil), s.Status.Conditions...)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (s *AgbSession) DeepCopyObject() runtime.Object { return s.DeepCopy() }

// DeepCopyObject implements runtime.Object.
func (l *AgbSessionList) DeepCopyObject() runtime.Object {
	out := &AgbSessionList{TypeMeta: l.TypeMeta}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopy())
	}
	return out
}
